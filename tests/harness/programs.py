"""Programs that more than one suite puts in its folders."""

# Tells what it was given: {"arguments": [...], "directory": ..., "environment": {...}, "body": ...}; bytes outside ASCII as \u00XX.
ECHO_C = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
extern char** environ;
static void text(const char* bytes, size_t length) {
  putchar('"');
  for (size_t i = 0; i < length; ++i) {
    unsigned char byte = bytes[i];
    if (byte == '"' || byte == '\\') printf("\\%c", byte);
    else if (byte < 32 || byte > 126) printf("\\u%04x", byte);
    else putchar(byte);
  }
  putchar('"');
}
int main(int count, char** arguments) {
  size_t size = 0, room = 65536;
  char* body = malloc(room);
  ssize_t got;
  while ((got = read(0, body + size, room - size)) > 0) {
    size += got;
    if (size == room) body = realloc(body, room *= 2);
  }
  printf("Content-Type: application/json\r\n\r\n{\"arguments\": [");
  for (int i = 0; i < count; ++i) { if (i) printf(", "); text(arguments[i], strlen(arguments[i])); }
  char directory[4096];
  printf("], \"directory\": ");
  getcwd(directory, sizeof directory);
  text(directory, strlen(directory));
  printf(", \"environment\": {");
  for (char** entry = environ; *entry; ++entry) {
    const char* equals = strchr(*entry, '=');
    if (entry != environ) printf(", ");
    text(*entry, equals - *entry);
    printf(": ");
    text(equals + 1, strlen(equals + 1));
  }
  printf("}, \"body\": ");
  text(body, size);
  printf("}\n");
  return 0;
}
"""
