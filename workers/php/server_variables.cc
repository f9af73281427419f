#include "php/server_variables.h"

#include <unistd.h>

#include <cstring>
#include <unordered_map>
#include <vector>

#include "php/sapi.h"

namespace fivefold::worker::php {

namespace {

// Strings that outlive requests. Their first reference is never given back: so scripts see them as shared and do not
// write into them, and no request's end frees them.
zend_string* lasting(std::string_view text) { return zend_string_init(text.data(), text.size(), true); }

HashTable environment;

// The names of variables are mostly the same with each request. Clients can think of others, so that only so many are
// kept.
constexpr std::size_t kMostNames = 512;
constexpr std::size_t kLongestName = 64;
std::unordered_map<std::string_view, zend_string*> names;
std::vector<zend_string*> last_names;  // in the order of the last request, which is nearly always that of the next

bool is(const zend_string* name, std::string_view text) {
  return name != nullptr && std::string_view(ZSTR_VAL(name), ZSTR_LEN(name)) == text;
}

// The caller releases it.
zend_string* name_at(std::size_t index, std::string_view text) {
  if (index < last_names.size() && is(last_names[index], text)) return zend_string_copy(last_names[index]);
  zend_string* name = nullptr;
  if (const auto known = names.find(text); known != names.end()) {
    name = known->second;
  } else if (names.size() < kMostNames && text.size() <= kLongestName) {
    name = lasting(text);
    zend_string_hash_val(name);
    names.emplace(std::string_view(ZSTR_VAL(name), ZSTR_LEN(name)), name);
  } else {
    return zend_string_init(text.data(), text.size(), false);
  }
  if (index >= last_names.size()) last_names.resize(index + 1, nullptr);
  last_names[index] = name;
  return zend_string_copy(name);
}

// ---- filter_input(INPUT_SERVER, ...) ----
// The filter extension keeps a copy of each variable, given to it one by one, for scripts that ask it instead of
// $_SERVER. They are few: it is given them when the first of its functions is called. With another filter.default than
// none it changes what $_SERVER holds, and has to come first.
bool filter_changes = false;
constexpr const char* kFilterFunctions[] = {"filter_input", "filter_input_array", "filter_has_var"};
void (*filter_handlers[3])(INTERNAL_FUNCTION_PARAMETERS) = {};

void tell_filter() {
  if (turn.request == nullptr || turn.filter_told) return;
  turn.filter_told = true;
  for (const auto& [name, value] : turn.request->variables()) {
    // It may give the value another place in the request's memory.
    char* text = estrndup(value.data(), value.size());
    size_t length = value.size();
    sapi_module.input_filter(PARSE_SERVER, name.data(), &text, length, &length);
    efree(text);
  }
}

template <int index>
void told_first(INTERNAL_FUNCTION_PARAMETERS) {
  tell_filter();
  filter_handlers[index](INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

// Takes `name` over.
void put(zval* array, zend_string* name, std::string_view value) {
  zval entry;
  if (filter_changes) {
    char* text = estrndup(value.data(), value.size());
    size_t length = value.size();
    const bool wanted = sapi_module.input_filter(PARSE_SERVER, ZSTR_VAL(name), &text, length, &length) != 0;
    if (wanted) ZVAL_STRINGL_FAST(&entry, text, length);
    efree(text);
    if (!wanted) {
      zend_string_release(name);
      return;
    }
  } else {
    ZVAL_STRINGL_FAST(&entry, value.data(), value.size());
  }
  zend_symtable_update(Z_ARRVAL_P(array), name, &entry);
  zend_string_release(name);
}

}  // namespace

void prepare_server_variables() {
  zend_hash_init(&environment, 64, nullptr, nullptr, 1);
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    const std::string_view text = *one;
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string_view::npos) continue;
    zval value;
    ZVAL_STR(&value, lasting(text.substr(equals + 1)));
    zend_string* name = lasting(text.substr(0, equals));
    zend_string_hash_val(name);
    zend_hash_update(&environment, name, &value);
  }

  const char* chosen = zend_ini_string("filter.default", sizeof "filter.default" - 1, 0);
  const zend_long flags = zend_ini_long("filter.default_flags", sizeof "filter.default_flags" - 1, 0);
  filter_changes = (chosen != nullptr && *chosen != '\0' && std::strcmp(chosen, "unsafe_raw") != 0) || flags != 0;
  if (filter_changes) return;
  constexpr void (*ours[])(INTERNAL_FUNCTION_PARAMETERS) = {told_first<0>, told_first<1>, told_first<2>};
  for (int i = 0; i < 3; ++i) {
    auto* function = static_cast<zend_function*>(
        zend_hash_str_find_ptr(CG(function_table), kFilterFunctions[i], std::strlen(kFilterFunctions[i])));
    if (function == nullptr || function->type != ZEND_INTERNAL_FUNCTION) continue;
    filter_handlers[i] = function->internal_function.handler;
    function->internal_function.handler = ours[i];
  }
}

void put_server_variables(zval* array) {
  zval_ptr_dtor_nogc(array);
  ZVAL_ARR(array, zend_array_dup(&environment));
  if (turn.request == nullptr) return;
  std::string_view script;
  std::string_view path_info;
  std::size_t index = 0;
  for (const auto& [name, value] : turn.request->variables()) {
    if (name == "SCRIPT_NAME") script = value;
    if (name == "PATH_INFO") path_info = value;
    put(array, name_at(index++, name), value);
  }
  static std::string self;
  self.assign(script).append(path_info);
  put(array, name_at(index, "PHP_SELF"), self);
}

}  // namespace fivefold::worker::php
