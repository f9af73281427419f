#include "php/sapi.h"

#include <syslog.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "php/functions.h"
#include "php/server_variables.h"
#include "php/stack.h"
#include "php/user_ini.h"

namespace fivefold::worker::php {

Turn turn;

namespace {

constexpr int kFatal = E_ERROR | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR | E_PARSE;

void (*engine_error)(int, zend_string*, const uint32_t, zend_string*) = nullptr;

void note_error(int type, zend_string* file, const uint32_t line, zend_string* message) {
  if ((type & kFatal) != 0) {
    turn.failure.assign(ZSTR_VAL(message), ZSTR_LEN(message)).append(" in ");
    turn.failure.append(file == nullptr ? "no file" : ZSTR_VAL(file)).append(":").append(std::to_string(line));
    if (turn.stopped && turn.request != nullptr) turn.request->log(LOG_WARNING, "It was at\n" + stack_in_words());
  }
  engine_error(type, file, line, message);
}

std::string_view text_of(const char* text) { return text == nullptr ? std::string_view() : std::string_view(text); }

int start(sapi_module_struct* module) { return php_module_startup(module, &own_module); }

int activate() {
  if (turn.request != nullptr)
    activate_user_ini(turn.request->variable("DOCUMENT_ROOT"), text_of(SG(request_info).path_translated));
  return SUCCESS;
}

// ---- the request ----

char* read_cookies() {
  if (turn.request == nullptr) return nullptr;
  const std::string_view cookies = turn.request->variable("HTTP_COOKIE");
  return cookies.empty() ? nullptr : const_cast<char*>(cookies.data());
}

// The engine takes a short read for the end of the body.
size_t read_post(char* buffer, size_t most) {
  size_t size = 0;
  if (turn.request == nullptr) return 0;
  while (size < most) {
    const ssize_t got = turn.request->read_body(buffer + size, most - size, true);
    if (got == Request::kInterrupted && !turn.stopped) continue;
    // Stopped by its time limit: a script notices when it goes on, and one that has not begun shall not.
    if (got == Request::kInterrupted) turn.body_broken = turn.body_broken || PG(during_request_startup);
    if (got == 0 || got == Request::kInterrupted) break;
    if (got < 0) {
      // A form that is not whole must not reach the script; a script that reads by itself is ended like one whose
      // client has left.
      if (PG(during_request_startup)) {
        turn.body_broken = true;
      } else if (!turn.request->finished() && !turn.body_broken) {
        turn.body_broken = true;
        php_handle_aborted_connection();
      }
      break;
    }
    size += static_cast<size_t>(got);
  }
  return size;
}

char* get_variable(const char* name, size_t length) {
  if (turn.request == nullptr) return nullptr;
  for (const Variable& variable : turn.request->variables()) {
    if (variable.name == std::string_view(name, length)) return const_cast<char*>(variable.value.data());
  }
  return nullptr;
}

// ---- the response ----

size_t write_body(const char* bytes, size_t size) {
  if (turn.request == nullptr) return fwrite(bytes, 1, size, stdout);
  if (turn.request->finished()) return size;
  send_head();
  turn.body_begun = true;
  if (!turn.request->write({bytes, size})) php_handle_aborted_connection();
  return size;
}

void flush(void*) {
  if (turn.request == nullptr) {
    std::fflush(stdout);
    return;
  }
  if (!SG(headers_sent)) sapi_send_headers();
  if (turn.request->finished()) return;
  send_head();
  if (!turn.request->flush()) php_handle_aborted_connection();
}

// The engine takes also lines without a colon, which are no header.
void append_line(std::string& head, const char* line, size_t length) {
  if (std::memchr(line, ':', length) != nullptr) head.append(line, length).append("\r\n");
}

constexpr std::string_view kStatus = "Status:";

bool is_named(const sapi_header_struct& header, std::string_view name) {
  return header.header_len > name.size() &&
         zend_binary_strncasecmp(header.header, header.header_len, name.data(), name.size(), name.size()) == 0;
}

bool is_status(const sapi_header_struct& header) { return is_named(header, kStatus); }

// How the body is framed is the server's to say. Scripts that stream name it all the same.
bool is_framing(const sapi_header_struct& header) { return is_named(header, "Transfer-Encoding:"); }

// "Status: 404 Not Found": the phrase of a line "HTTP/1.1 404 Not Found", where that line is about this status.
void append_status(std::string& head, int code, const char* line) {
  head.append("Status: ").append(std::to_string(code));
  const char* after = line == nullptr ? nullptr : std::strchr(line, ' ');
  if (after != nullptr && std::atoi(after + 1) == code) {
    const char* phrase = std::strchr(after + 1, ' ');
    if (phrase != nullptr) head.append(phrase);
  }
  head.append("\r\n");
}

int send_headers(sapi_headers_struct* headers) {
  if (turn.request == nullptr) return SAPI_HEADER_SENT_SUCCESSFULLY;
  if (SG(request_info).no_headers) return SAPI_HEADER_SENT_SUCCESSFULLY;
  int code = headers->http_response_code == 0 ? 200 : headers->http_response_code;
  const char* line = headers->http_status_line;
  zend_llist_position position;
  // Scripts that were written for CGI say "Status: 404 Not Found".
  for (auto* header = static_cast<sapi_header_struct*>(zend_llist_get_first_ex(&headers->headers, &position));
       header != nullptr && code == 200;
       header = static_cast<sapi_header_struct*>(zend_llist_get_next_ex(&headers->headers, &position))) {
    if (!is_status(*header)) continue;
    line = header->header;
    code = std::clamp(std::atoi(header->header + kStatus.size()), 0, 999);
    if (code < 200) code = 200;
  }
  turn.head.clear();
  append_status(turn.head, code, line);
  auto* header = static_cast<sapi_header_struct*>(zend_llist_get_first_ex(&headers->headers, &position));
  while (header != nullptr) {
    if (!is_status(*header) && !is_framing(*header)) append_line(turn.head, header->header, header->header_len);
    header = static_cast<sapi_header_struct*>(zend_llist_get_next_ex(&headers->headers, &position));
  }
  return SAPI_HEADER_SENT_SUCCESSFULLY;
}

void log_message(const char* message, int severity) {
  if (turn.request != nullptr) {
    turn.request->log(severity & 7, message);
  } else {
    std::fprintf(stderr, "%s\n", message);
  }
}

}  // namespace

sapi_module_struct sapi = [] {
  sapi_module_struct module{};
  module.name = const_cast<char*>("fivefold");
  module.pretty_name = const_cast<char*>("Fivefold module worker");
  module.startup = start;
  module.shutdown = php_module_shutdown_wrapper;
  module.activate = activate;
  module.ub_write = write_body;
  module.flush = flush;
  module.getenv = get_variable;
  module.sapi_error = zend_error;
  module.send_headers = send_headers;
  module.read_post = read_post;
  module.read_cookies = read_cookies;
  module.register_server_variables = put_server_variables;
  module.log_message = log_message;
  module.php_ini_ignore_cwd = 1;
  return module;
}();

void reset_turn() {
  turn.request = nullptr;
  turn.head.clear();
  turn.failure.clear();
  turn.body_begun = turn.body_broken = turn.stopped = turn.filter_told = false;
}

void begin_turn(Request& request) {
  reset_turn();
  turn.request = &request;
  sapi_request_info& info = SG(request_info);
  info = {};
  SG(server_context) = &request;
  SG(sapi_headers).http_response_code = 200;
  info.proto_num = 1001;
  std::string_view authorization;
  for (const auto& [name, value] : request.variables()) {
    char* text = const_cast<char*>(value.data());
    if (name == "REQUEST_METHOD") {
      info.request_method = text;
    } else if (name == "QUERY_STRING") {
      info.query_string = text;
    } else if (name == "REQUEST_URI") {
      info.request_uri = text;
    } else if (name == "SCRIPT_FILENAME") {
      info.path_translated = text;
    } else if (name == "CONTENT_TYPE") {
      info.content_type = text;
    } else if (name == "HTTP_AUTHORIZATION") {
      authorization = value;
    } else if (name == "SERVER_PROTOCOL" && value == "HTTP/1.0") {
      info.proto_num = 1000;
    }
  }
  if (info.request_method == nullptr) info.request_method = "GET";
  if (info.query_string == nullptr) info.query_string = const_cast<char*>("");
  if (info.content_type == nullptr) info.content_type = "";
  const std::uint64_t length = request.body_length();
  info.content_length =
      length == protocol::kUnknownLength || length > ZEND_LONG_MAX ? 0 : static_cast<zend_long>(length);
  if (authorization.empty() || php_handle_auth_data(authorization.data()) != SUCCESS) {
    info.auth_user = info.auth_password = info.auth_digest = nullptr;
  }
}

void send_head() {
  if (turn.head.empty()) return;
  turn.request->head(turn.head);
  turn.head.clear();
}

Outcome end_turn() {
  Outcome outcome;
  Request& request = *turn.request;
  if (turn.body_broken) {
    outcome.faults = turn.stopped ? protocol::kFailed | protocol::kTimedOut : protocol::kBroken;
    outcome.text = turn.stopped ? "The request's body did not come within the time limit."
                                : "The request's body did not become whole.";
  } else if (!turn.failure.empty() && !request.finished()) {
    // Nothing was printed: the server's own page says that it failed. Something was sent: the client is not told that
    // this is all.
    if (!turn.body_begun && SG(sapi_headers).http_response_code >= 500) {
      outcome.faults = turn.stopped ? protocol::kFailed | protocol::kTimedOut : protocol::kFailed;
    } else if (request.flushed() && !PG(display_errors)) {
      outcome.faults = protocol::kBroken;
    }
    if (outcome.faults != 0) outcome.text = turn.failure;
  }
  if ((outcome.faults & protocol::kFailed) == 0 && outcome.faults != protocol::kBroken) send_head();
  turn.request = nullptr;
  SG(server_context) = nullptr;
  return outcome;
}

void watch_errors() {
  engine_error = zend_error_cb;
  zend_error_cb = note_error;
}

void stop_script() {
  if (turn.request == nullptr) return;
  turn.stopped = true;
  // The engine's message names its own limit, in seconds.
  EG(timeout_seconds) = static_cast<zend_long>((turn.request->time_limit_ms() + 999) / 1000);
  zend_atomic_bool_store_ex(&EG(timed_out), true);
  zend_atomic_bool_store_ex(&EG(vm_interrupt), true);
}

}  // namespace fivefold::worker::php
