#include "php/renewal.h"

#include <cstring>

#include "php/sapi.h"

extern "C" {
#include <ext/session/php_session.h>
}

namespace fivefold::worker::php {

namespace {

// The settings that the script had changed when it asked for its first request: name to value.
HashTable kept_settings;
bool keeping = false;

zend_module_entry* module_named(const char* name) {
  return static_cast<zend_module_entry*>(zend_hash_str_find_ptr(&module_registry, name, std::strlen(name)));
}

void end_module(const char* name) {
  const zend_module_entry* module = module_named(name);
  if (module != nullptr && module->request_shutdown_func != nullptr)
    module->request_shutdown_func(module->type, module->module_number);
}

void begin_module(const char* name) {
  const zend_module_entry* module = module_named(name);
  if (module != nullptr && module->request_startup_func != nullptr)
    module->request_startup_func(module->type, module->module_number);
}

// A session handler that the script has set before its first request is the script's, while the session module lets go
// of it at the end of a request.
zval handler_functions[PS_NUM_APIS];
zend_string* handler_class = nullptr;
bool handler_implemented = false;
const ps_module* handler_module = nullptr;
bool have_sessions = false;

void end_session() {
  have_sessions = module_named("session") != nullptr;
  if (!have_sessions) return;
  handler_implemented = PS(mod_user_implemented);
  handler_module = PS(mod);
  handler_class = PS(mod_user_class_name) == nullptr ? nullptr : zend_string_copy(PS(mod_user_class_name));
  for (int i = 0; i < PS_NUM_APIS; ++i) ZVAL_COPY(&handler_functions[i], &PS(mod_user_names).names[i]);
  end_module("session");
}

void begin_session() {
  if (!have_sessions) return;
  begin_module("session");
  if (handler_implemented) {
    PS(mod_user_implemented) = true;
    PS(mod) = handler_module;
  }
  if (PS(mod_user_class_name) == nullptr) {
    PS(mod_user_class_name) = handler_class;
  } else if (handler_class != nullptr) {
    zend_string_release(handler_class);
  }
  handler_class = nullptr;
  for (int i = 0; i < PS_NUM_APIS; ++i) {
    zval_ptr_dtor(&PS(mod_user_names).names[i]);
    ZVAL_COPY_VALUE(&PS(mod_user_names).names[i], &handler_functions[i]);
    ZVAL_UNDEF(&handler_functions[i]);
  }
}

void restore_settings() {
  if (EG(modified_ini_directives) == nullptr || !keeping) return;
  zval* one = nullptr;
  // Restoring takes an entry out of the table that is walked: one at a time, from the start.
  bool changed = true;
  while (changed) {
    changed = false;
    ZEND_HASH_FOREACH_VAL(EG(modified_ini_directives), one) {
      auto* entry = static_cast<zend_ini_entry*>(Z_PTR_P(one));
      auto* kept = static_cast<zend_string*>(zend_hash_find_ptr(&kept_settings, entry->name));
      if (kept == nullptr) {
        zend_string* name = entry->name;
        changed = zend_restore_ini_entry(name, ZEND_INI_STAGE_DEACTIVATE) == SUCCESS;
        if (changed) break;
      } else if (entry->value == nullptr || !zend_string_equals(kept, entry->value)) {
        zend_alter_ini_entry_ex(entry->name, kept, ZEND_INI_USER, ZEND_INI_STAGE_DEACTIVATE, true);
      }
    }
    ZEND_HASH_FOREACH_END();
  }
}

// The shutdown functions that were registered before the first request wait for the script's end, those of a request
// for its own.
HashTable* functions_of_script = nullptr;
bool renewed = false;  // a request is under way

void end_shutdown_functions() {
  zend_try { php_call_shutdown_functions(); }
  zend_end_try();
  php_free_shutdown_functions();
  BG(user_shutdown_function_names) = functions_of_script;
  functions_of_script = nullptr;
}

// The body's stream belongs to the request, and only the end of the script would close it. A script that has kept
// php://input open still reads from it: then it stays.
void close_body() {
  php_stream* body = SG(request_info).request_body;
  if (body == nullptr) return;
  zval* one = nullptr;
  ZEND_HASH_FOREACH_VAL(&EG(regular_list), one) {
    const zend_resource* resource = Z_RES_P(one);
    if (resource->type != php_file_le_stream() || resource->ptr == nullptr) continue;
    if (std::strcmp(static_cast<php_stream*>(resource->ptr)->ops->label, "Input") == 0) return;
  }
  ZEND_HASH_FOREACH_END();
  SG(request_info).request_body = nullptr;
  SG(post_read) = 1;
  php_stream_free(body, PHP_STREAM_FREE_CLOSE);
}

void renew_superglobals() {
  zval* files = &PG(http_globals)[TRACK_VARS_FILES];
  zval_ptr_dtor_nogc(files);
  ZVAL_UNDEF(files);
  zend_hash_str_del(&EG(symbol_table), "_SESSION", sizeof "_SESSION" - 1);
  zval* one = nullptr;
  ZEND_HASH_FOREACH_VAL(CG(auto_globals), one) {
    auto* global = static_cast<zend_auto_global*>(Z_PTR_P(one));
    if (global->auto_global_callback == nullptr || zend_string_equals_literal(global->name, "_ENV")) continue;
    // Made when a script that names it is compiled, and then there: only one that is there can be stale.
    if (global->jit && !zend_string_equals_literal(global->name, "_SERVER") &&
        !zend_hash_exists(&EG(symbol_table), global->name))
      continue;
    global->armed = global->auto_global_callback(global->name);
  }
  ZEND_HASH_FOREACH_END();
}

}  // namespace

void remember_settings() {
  forget_settings();
  zend_hash_init(
      &kept_settings, 8, nullptr,
      [](zval* value) { zend_string_release_ex(static_cast<zend_string*>(Z_PTR_P(value)), true); }, 1);
  keeping = true;
  if (EG(modified_ini_directives) == nullptr) return;
  zval* one = nullptr;
  ZEND_HASH_FOREACH_VAL(EG(modified_ini_directives), one) {
    auto* entry = static_cast<zend_ini_entry*>(Z_PTR_P(one));
    if (entry->value == nullptr) continue;
    zend_string* value = zend_string_init(ZSTR_VAL(entry->value), ZSTR_LEN(entry->value), 1);
    zend_hash_str_update_ptr(&kept_settings, ZSTR_VAL(entry->name), ZSTR_LEN(entry->name), value);
  }
  ZEND_HASH_FOREACH_END();
}

void forget_settings() {
  if (keeping) zend_hash_destroy(&kept_settings);
  keeping = false;
}

void end_interrupted() {
  if (!renewed) return;
  renewed = false;
  HashTable* of_script = functions_of_script;
  functions_of_script = nullptr;
  if (of_script == nullptr) return;
  if (BG(user_shutdown_function_names) == nullptr) {
    BG(user_shutdown_function_names) = of_script;
    return;
  }
  // The entries move, with all that they own.
  zval* one = nullptr;
  ZEND_HASH_FOREACH_VAL(of_script, one) {
    auto* entry = static_cast<php_shutdown_function_entry*>(Z_PTR_P(one));
    append_user_shutdown_function(entry);
    efree(entry);
  }
  ZEND_HASH_FOREACH_END();
  of_script->pDestructor = nullptr;
  zend_hash_destroy(of_script);
  FREE_HASHTABLE(of_script);
}

bool begin_renewed() {
  functions_of_script = BG(user_shutdown_function_names);
  BG(user_shutdown_function_names) = nullptr;
  renewed = true;
  php_output_activate();
  PG(header_is_being_sent) = 0;
  PG(connection_status) = PHP_CONNECTION_NORMAL;
  PG(during_request_startup) = true;
  if (PG(last_error_message) != nullptr) {
    zend_string_release(PG(last_error_message));
    PG(last_error_message) = nullptr;
  }
  PG(last_error_type) = 0;
  sapi_activate();
  zend_set_timeout(EG(timeout_seconds), false);
  if (PG(expose_php)) sapi_add_header(SAPI_PHP_VERSION_HEADER, sizeof(SAPI_PHP_VERSION_HEADER) - 1, 1);
  if (PG(output_handler) != nullptr && *PG(output_handler) != '\0') {
    zval handler;
    ZVAL_STRING(&handler, PG(output_handler));
    php_output_start_user(&handler, 0, PHP_OUTPUT_HANDLER_STDFLAGS);
    zval_ptr_dtor(&handler);
  } else if (PG(output_buffering) != 0) {
    php_output_start_user(nullptr, PG(output_buffering) > 1 ? static_cast<size_t>(PG(output_buffering)) : 0,
                          PHP_OUTPUT_HANDLER_STDFLAGS);
  } else if (PG(implicit_flush)) {
    php_output_set_implicit_flush(1);
  }
  if (!turn.body_broken) renew_superglobals();
  begin_module("filter");
  begin_session();
  PG(during_request_startup) = false;
  return !turn.body_broken;
}

void end_renewed() {
  if (renewed) end_shutdown_functions();
  renewed = false;
  zend_try { php_output_end_all(); }
  zend_end_try();
  zend_unset_timeout();
  zend_try { end_session(); }
  zend_end_try();
  zend_try { php_header(); }
  zend_end_try();
  zend_try { php_output_deactivate(); }
  zend_end_try();
  end_module("filter");
  zend_try { close_body(); }
  zend_end_try();
  zend_try { sapi_deactivate(); }
  zend_end_try();
  restore_settings();
}

}  // namespace fivefold::worker::php
