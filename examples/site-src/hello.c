// A CGI program in C: what the server gives it arrives in the environment, what it prints is the response.
#include <stdio.h>
#include <stdlib.h>

// Prints `text` so that HTML shows it as it is.
static void print_escaped(const char *text) {
  for (; *text != '\0'; ++text) {
    switch (*text) {
      case '&': fputs("&amp;", stdout); break;
      case '<': fputs("&lt;", stdout); break;
      case '>': fputs("&gt;", stdout); break;
      case '"': fputs("&quot;", stdout); break;
      case '\'': fputs("&#39;", stdout); break;
      default: putchar(*text);
    }
  }
}

static void row(const char *name) {
  const char *value = getenv(name);
  printf("<tr><th scope=\"row\">%s<td>", name);
  if (value == NULL) {
    fputs("<em>not set</em>", stdout);
  } else {
    print_escaped(value);
  }
  putchar('\n');
}

int main(void) {
  static const char *const names[] = {"REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "SERVER_PROTOCOL"};
  fputs(
      "Content-Type: text/html; charset=utf-8\r\n\r\n"
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
      "<title>Hello from C</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n<main>\n"
      "<p class=\"back\"><a href=\"/\">&larr; all examples</a></p>\n<h1>Hello from C</h1>\n"
      "<p>This process was started for your request and ends with it.</p>\n<table>\n",
      stdout);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) row(names[i]);
  fputs("</table>\n</main>\n", stdout);
  // A full disk or a closed pipe shows only here; the exit status tells the server.
  return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
