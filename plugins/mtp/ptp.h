/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The numbers of PTP (ISO 15740), of its USB transport (PIMA 15740 annex D) and of MTP 1.1 that the plugin uses. */

#define PTP_HEADER_SIZE 12u
#define PTP_PARAMS_MAX 5u
#define PTP_LENGTH_UNKNOWN UINT32_C(0xFFFFFFFF) /* a container, or an object, of 4 GiB and more */

/* Container types */
#define PTP_COMMAND 1u
#define PTP_DATA 2u
#define PTP_RESPONSE 3u

/* Class requests, all to the interface */
#define PTP_USB_CANCEL 0x64u
#define PTP_USB_RESET 0x66u
#define PTP_USB_STATUS 0x67u
#define PTP_USB_CANCEL_CODE 0x4001u

/* Operations */
#define PTP_GET_DEVICE_INFO 0x1001u
#define PTP_OPEN_SESSION 0x1002u
#define PTP_CLOSE_SESSION 0x1003u
#define PTP_GET_STORAGE_IDS 0x1004u
#define PTP_GET_STORAGE_INFO 0x1005u
#define PTP_GET_OBJECT_HANDLES 0x1007u
#define PTP_GET_OBJECT_INFO 0x1008u
#define PTP_GET_OBJECT 0x1009u
#define PTP_DELETE_OBJECT 0x100Bu
#define PTP_FORMAT_STORE 0x100Fu
#define PTP_GET_DEVICE_PROP_DESC 0x1014u
#define PTP_GET_DEVICE_PROP_VALUE 0x1015u
#define PTP_SET_DEVICE_PROP_VALUE 0x1016u
#define PTP_GET_PARTIAL_OBJECT 0x101Bu
#define MTP_GET_PARTIAL_OBJECT_64 0x95C1u
#define MTP_GET_OBJECT_PROP_VALUE 0x9803u
#define MTP_GET_OBJECT_PROP_LIST 0x9805u

/* The vendor extension under which a camera's 0x95C1 is GetPartialObject64 and its 0x98xx are MTP's. */
#define MTP_VENDOR_EXTENSION 6u

/* Response codes */
#define PTP_OK 0x2001u
#define PTP_GENERAL_ERROR 0x2002u
#define PTP_SESSION_NOT_OPEN 0x2003u
#define PTP_INVALID_TRANSACTION 0x2004u
#define PTP_OPERATION_NOT_SUPPORTED 0x2005u
#define PTP_PARAMETER_NOT_SUPPORTED 0x2006u
#define PTP_INCOMPLETE_TRANSFER 0x2007u
#define PTP_INVALID_STORAGE 0x2008u
#define PTP_INVALID_HANDLE 0x2009u
#define PTP_PROPERTY_NOT_SUPPORTED 0x200Au
#define PTP_STORE_FULL 0x200Cu
#define PTP_OBJECT_WRITE_PROTECTED 0x200Du
#define PTP_STORE_READ_ONLY 0x200Eu
#define PTP_ACCESS_DENIED 0x200Fu
#define PTP_PARTIAL_DELETION 0x2012u
#define PTP_STORE_NOT_AVAILABLE 0x2013u
#define PTP_DEVICE_BUSY 0x2019u
#define PTP_INVALID_PARAMETER 0x201Du
#define PTP_SESSION_ALREADY_OPEN 0x201Eu
#define PTP_TRANSACTION_CANCELLED 0x201Fu

/* Object handles and formats */
#define PTP_HANDLE_NONE 0u
#define PTP_HANDLE_ALL UINT32_C(0xFFFFFFFF)
#define PTP_FORMAT_ANY 0u
#define PTP_FORMAT_ASSOCIATION 0x3001u
#define PTP_PROTECTION_READ_ONLY 0x0001u

/* StorageInfo's AccessCapability: 0 is read and write, 2 is read and delete */
#define PTP_STORAGE_READ_ONLY 0x0001u

/* Device properties */
#define PTP_PROP_BATTERY 0x5001u
#define PTP_PROP_DATE_TIME 0x5011u

/* Object properties (MTP 1.1 annex B) */
#define MTP_PROP_ALL UINT32_C(0xFFFFFFFF)
#define MTP_PROP_STORAGE 0xDC01u
#define MTP_PROP_FORMAT 0xDC02u
#define MTP_PROP_PROTECTION 0xDC03u
#define MTP_PROP_SIZE 0xDC04u
#define MTP_PROP_FILE_NAME 0xDC07u
#define MTP_PROP_DATE_CREATED 0xDC08u
#define MTP_PROP_DATE_MODIFIED 0xDC09u
#define MTP_PROP_PARENT 0xDC0Bu

/* Datatype codes (ISO 15740 §5.3) */
#define PTP_TYPE_INT8 0x0001u
#define PTP_TYPE_UINT64 0x0008u
#define PTP_TYPE_UINT128 0x000Au
#define PTP_TYPE_ARRAY 0x4000u
#define PTP_TYPE_STRING 0xFFFFu
