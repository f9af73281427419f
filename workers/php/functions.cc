#include "php/functions.h"

#include <cctype>
#include <cstdlib>
#include <cstring>

#include "php/loop.h"
#include "php/sapi.h"

namespace fivefold::worker::php {

namespace {

// "HTTP_ACCEPT_LANGUAGE" as people write it: "Accept-Language". false: no header of the request.
bool header_name(std::string_view variable, std::string& name) {
  if (variable.starts_with("HTTP_")) {
    variable.remove_prefix(5);
  } else if (variable != "CONTENT_TYPE" && variable != "CONTENT_LENGTH") {
    return false;
  }
  name.assign(variable);
  bool first = true;
  for (char& letter : name) {
    if (letter == '_') {
      letter = '-';
      first = true;
    } else {
      if (!first) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
      first = false;
    }
  }
  return true;
}

// headers_send(103): an informational response with the headers that are set, which stay set.
void send_interim(int status) {
  static std::string lines;
  lines.assign("Status: ").append(std::to_string(status)).append("\r\n");
  zend_llist_position position;
  auto* header = static_cast<sapi_header_struct*>(zend_llist_get_first_ex(&SG(sapi_headers).headers, &position));
  while (header != nullptr) {
    lines.append(header->header, header->header_len).append("\r\n");
    header = static_cast<sapi_header_struct*>(zend_llist_get_next_ex(&SG(sapi_headers).headers, &position));
  }
  if (turn.request != nullptr && !turn.request->finished()) turn.request->interim(lines);
}

char* name_before_start = nullptr;

// opcache starts only under names that it knows, and looks after all modules have been initialised. The name is put
// back by restore_name(), before anything of a script has run.
zend_result initialise(int, int) {
  name_before_start = sapi_module.name;
  sapi_module.name = const_cast<char*>("fpm-fcgi");
  return SUCCESS;
}

void describe(zend_module_entry*) {
  php_info_print_table_start();
  php_info_print_table_row(2, "Version", FIVEFOLD_VERSION);
  php_info_print_table_row(2, "Worker mode", looping() ? "on" : "off");
  php_info_print_table_end();
}

}  // namespace

void restore_name() {
  if (name_before_start != nullptr) sapi_module.name = name_before_start;
}

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(nothing_gives_array, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(nothing_gives_bool, 0, 0, _IS_BOOL, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(status_gives_int, 0, 0, IS_LONG, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, status, IS_LONG, 0, "200")
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(callable_gives_bool, 0, 1, _IS_BOOL, 0)
ZEND_ARG_TYPE_INFO(0, callback, IS_CALLABLE, 0)
ZEND_END_ARG_INFO()

PHP_FUNCTION(fivefold_request_headers) {
  ZEND_PARSE_PARAMETERS_NONE();
  array_init(return_value);
  if (turn.request == nullptr) return;
  static std::string name;
  for (const auto& [variable, value] : turn.request->variables()) {
    if (!header_name(variable, name)) continue;
    add_assoc_stringl_ex(return_value, name.data(), name.size(), value.data(), value.size());
  }
}

PHP_FUNCTION(fivefold_response_headers) {
  ZEND_PARSE_PARAMETERS_NONE();
  array_init(return_value);
  zend_llist_position position;
  auto* header = static_cast<sapi_header_struct*>(zend_llist_get_first_ex(&SG(sapi_headers).headers, &position));
  while (header != nullptr) {
    const char* colon = static_cast<const char*>(std::memchr(header->header, ':', header->header_len));
    if (colon != nullptr) {
      const char* value = colon + 1;
      const char* end = header->header + header->header_len;
      while (value < end && *value == ' ') ++value;
      add_assoc_stringl_ex(return_value, header->header, static_cast<size_t>(colon - header->header), value,
                           static_cast<size_t>(end - value));
    }
    header = static_cast<sapi_header_struct*>(zend_llist_get_next_ex(&SG(sapi_headers).headers, &position));
  }
}

PHP_FUNCTION(fivefold_finish_request) {
  ZEND_PARSE_PARAMETERS_NONE();
  if (turn.request == nullptr || turn.request->finished()) RETURN_FALSE;
  php_output_end_all();
  php_header();
  send_head();
  turn.request->finish();
  RETURN_TRUE;
}

PHP_FUNCTION(headers_send) {
  zend_long status = 200;
  ZEND_PARSE_PARAMETERS_START(0, 1)
  Z_PARAM_OPTIONAL
  Z_PARAM_LONG(status)
  ZEND_PARSE_PARAMETERS_END();
  if (status < 100 || status > 999 || status == 101) {
    zend_argument_value_error(1, "must be a status from 100 to 999, and not 101");
    RETURN_THROWS();
  }
  if (SG(headers_sent)) RETURN_LONG(SG(sapi_headers).http_response_code);
  if (status < 200) {
    send_interim(static_cast<int>(status));
  } else {
    SG(sapi_headers).http_response_code = static_cast<int>(status);
    sapi_send_headers();
    if (turn.request != nullptr && !turn.request->finished()) {
      send_head();
      if (!turn.request->flush()) php_handle_aborted_connection();
    }
  }
  RETURN_LONG(status);
}

PHP_FUNCTION(fivefold_handle_request) {
  zend_fcall_info call;
  zend_fcall_info_cache cache;
  ZEND_PARSE_PARAMETERS_START(1, 1)
  Z_PARAM_FUNC(call, cache)
  ZEND_PARSE_PARAMETERS_END();
  if (!looping()) {
    zend_throw_exception(
        spl_ce_RuntimeException,
        "fivefold_handle_request() may only be called by a worker script (worker = \"...\" of the program)", 0);
    RETURN_THROWS();
  }
  RETURN_BOOL(handle_request(call, cache));
}

namespace {

const zend_function_entry functions[] = {
    ZEND_NAMED_FE(getallheaders, ZEND_FN(fivefold_request_headers), nothing_gives_array)
        ZEND_NAMED_FE(apache_request_headers, ZEND_FN(fivefold_request_headers), nothing_gives_array) ZEND_NAMED_FE(
            apache_response_headers, ZEND_FN(fivefold_response_headers), nothing_gives_array)
            ZEND_FE(fivefold_finish_request, nothing_gives_bool) ZEND_NAMED_FE(
                fastcgi_finish_request, ZEND_FN(fivefold_finish_request), nothing_gives_bool)
                ZEND_NAMED_FE(frankenphp_finish_request, ZEND_FN(fivefold_finish_request), nothing_gives_bool)
                    ZEND_FE(headers_send, status_gives_int) ZEND_FE(fivefold_handle_request, callable_gives_bool)
                        ZEND_NAMED_FE(frankenphp_handle_request, ZEND_FN(fivefold_handle_request), callable_gives_bool)
                            ZEND_FE_END};

}  // namespace

zend_module_entry own_module = {
    STANDARD_MODULE_HEADER,    "fivefold", functions, initialise, nullptr, nullptr, nullptr, describe, FIVEFOLD_VERSION,
    STANDARD_MODULE_PROPERTIES};

}  // namespace fivefold::worker::php
