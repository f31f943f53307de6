/* Every call as one line of JSON: its fields by name, what was wrong with them, the code that was answered. */
#include "witness.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_LIMIT (256 * 1024)

static char line[LINE_LIMIT], faults[16 * 1024];
static size_t used, faults_used;

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int written = vsnprintf(line + used, LINE_LIMIT - used, format, arguments);
  va_end(arguments);
  if (written > 0) used = min(used + (size_t)written, (size_t)LINE_LIMIT - 1);
}

BOOL witness_folder(WCHAR *path, const WCHAR *file) {
  WCHAR folder[MAX_PATH];
  DWORD length = GetEnvironmentVariableW(L"ProgramData", folder, MAX_PATH);
  if (length == 0 || length > MAX_PATH - 64) return FALSE;
  lstrcatW(folder, L"\\mlsssl-witness");
  CreateDirectoryW(folder, NULL); /* there already: well */
  lstrcpyW(path, folder);
  lstrcatW(path, L"\\");
  lstrcatW(path, file);
  return TRUE;
}

void log_begin(const char *function, DWORD family) {
  used = faults_used = 0;
  faults[0] = 0;
  put("{\"process\": %lu, \"function\": \"%s\", \"family\": %lu", GetCurrentProcessId(), function, family);
}

void log_number(const char *name, unsigned long long value) { put(", \"%s\": %llu", name, value); }

void log_hex(const char *name, const void *bytes, size_t length) {
  put(", \"%s\": \"", name);
  for (size_t at = 0; at < length; at++) put("%02x", ((const UCHAR *)bytes)[at]);
  put("\"");
}

void log_text(const char *name, const TEXT_FIELD *text) {
  if (!text->present) {
    put(", \"%s\": null", name);
    return;
  }
  put(", \"%s\": \"", name);
  for (const WCHAR *at = text->text; *at; at++) put("\\u%04x", *at);
  put("\"");
}

void log_fault(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (faults_used + 8 < sizeof faults) {
    faults_used += (size_t)snprintf(faults + faults_used, sizeof faults - faults_used, "%s\"", faults_used ? ", " : "");
    int written = vsnprintf(faults + faults_used, sizeof faults - faults_used - 4, format, arguments);
    faults_used = min(faults_used + (size_t)max(written, 0), sizeof faults - 4);
    faults[faults_used++] = '"';
    faults[faults_used] = 0;
  }
  va_end(arguments);
}

ULONG log_end(ULONG code) {
  static HANDLE file = INVALID_HANDLE_VALUE;
  if (file == INVALID_HANDLE_VALUE) {
    WCHAR path[MAX_PATH];
    if (!witness_folder(path, L"calls.jsonl")) return ERROR_WRITE_FAULT;
    DWORD shared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    file = CreateFileW(path, FILE_APPEND_DATA, shared, NULL, OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
  }
  put(", \"faults\": [%s], \"code\": %lu}\n", faults, code);
  DWORD written;
  /* What cannot be written down has not been witnessed: the caller gets an error that it cannot overlook. */
  if (!WriteFile(file, line, (DWORD)used, &written, NULL) || written != used) return ERROR_WRITE_FAULT;
  return code;
}
