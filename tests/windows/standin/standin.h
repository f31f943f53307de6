/* What the parts of the stand-in share: one record, and the functions of each file. */
#ifndef STANDIN_H
#define STANDIN_H

#include "layout.h"

#define HOST_LENGTH 255            /* longest DNS name, without its NUL */
#define CTL_IDENTIFIER_LENGTH 1024 /* our own limit: Windows documents none */
#define TEXT_LENGTH (HOST_LENGTH + 2 * SSL_STORE_NAME_LENGTH + CTL_IDENTIFIER_LENGTH + 4)
#define NAME_LENGTH 1100 /* of a record in the registry: a host in hexadecimal and a port, or an address and a port */

/* One kind of record: where its parts lie in the structures of its callers. */
typedef struct {
    int id;
    const WCHAR *name;     /* its key in the registry, named as HTTP.sys names its own */
    ULONG set_size;        /* of the SET structure: input of Set, Update and Delete, output of Query */
    ULONG param_offset;    /* of ParamDesc in it; KeyDesc is at 0 */
    ULONG query_size;      /* of the QUERY structure; QueryDesc is at 0 */
    ULONG query_key_offset;
    ULONG token_offset;
    BOOL has_host;
    BOOL has_certificate;
} FAMILY;

enum { HOST, STORE, CTL_IDENTIFIER, CTL_STORE, TEXTS };
#define NO_TEXT 0xFFFFFFFFu

/* A record as it is kept: no pointers, so that its bytes mean the same in the next process. */
typedef struct {
    ULONG address_length; /* 16, 28 or, for the families that keep it inline, 128 */
    BYTE address[sizeof(SOCKADDR_STORAGE)];
    ULONG hash_length;
    BYTE hash[SSL_HASH_LENGTH];
    GUID app_id;
    ULONG check_mode;
    ULONG freshness_time;
    ULONG retrieval_timeout;
    ULONG flags;
    ULONG text_at[TEXTS]; /* index in `text`, or NO_TEXT for a NULL pointer */
    ULONG text_length;    /* characters used in `text` */
    WCHAR text[TEXT_LENGTH];
} RECORD;

/* faults.c: counting calls, failing and dying on demand, and the reason of the last refusal. */
typedef struct {
    LONG number; /* of this call, from 1 */
} CALL;
BOOL call_begins(CALL *call, const char *function, ULONG *code); /* FALSE: answer `code` at once */
ULONG call_ends(const CALL *call, ULONG code);
ULONG refuse(ULONG code, const char *reason);
ULONG setting(const WCHAR *name, ULONG otherwise); /* a number in the environment, decimal or 0x... */
BOOL family_enabled(int id);

/* input.c: the caller's memory, looked at before it is read, and copied before it is judged. */
BOOL readable(const void *memory, SIZE_T length);
BOOL writable(void *memory, SIZE_T length, SIZE_T alignment);
BOOL capture(void *copy, const void *memory, SIZE_T length, SIZE_T alignment);
ULONG read_key(const FAMILY *family, const void *key, RECORD *record);
ULONG read_param(const FAMILY *family, const HTTP_SERVICE_CONFIG_SSL_PARAM *param, RECORD *record);
void record_name(const RECORD *record, WCHAR *name);

/* records.c: the registry. The caller holds the lock. */
ULONG lock_records(void);
void unlock_records(void);
ULONG find_record(const FAMILY *family, const WCHAR *name, RECORD *record); /* 2: not there */
ULONG record_at(const FAMILY *family, ULONG index, RECORD *record);         /* 259: past the end */
ULONG put_record(const FAMILY *family, const WCHAR *name, const RECORD *record);
ULONG delete_record(const FAMILY *family, const WCHAR *name); /* 2: not there */
ULONG delete_all_records(void);

/* config.c: reservations, the listen list and numbers. */
BOOL is_config(int id);
ULONG config_change(BOOL remove, int id, const void *input, ULONG length);
ULONG config_query(int id, const void *input, ULONG length, void *output, ULONG room, ULONG *needed);

/* certificate.c: what HTTP.sys demands of a certificate when it is bound. */
ULONG check_certificate(const RECORD *record);

#endif
