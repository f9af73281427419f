#include "environ.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace fivefold::python {
namespace {

// What says who somebody is stays in no template.
constexpr std::array<std::string_view, 3> kSecrets = {"HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION"};

bool is_secure(std::string_view name, std::string_view value) { return name == "HTTPS" && value != "off"; }

}  // namespace

Environ::Environ(PyObject* base)
    : base_(Ref::share(base)),
      scheme_key_(Ref::take(PyUnicode_InternFromString("wsgi.url_scheme"))),
      http_(Ref::take(PyUnicode_InternFromString("http"))),
      https_(Ref::take(PyUnicode_InternFromString("https"))) {}

Ref Environ::build(std::span<const worker::Variable> variables) {
  for (auto known = templates_.begin(); known != templates_.end(); ++known) {
    const auto same = [](const Slot& slot, const worker::Variable& variable) { return slot.name == variable.name; };
    if (!std::ranges::equal(known->slots, variables, same)) continue;
    if (known != templates_.begin()) std::rotate(templates_.begin(), known, known + 1);
    return from(templates_.front(), variables);
  }
  return from_nothing(variables);
}

Ref Environ::from(const Template& known, std::span<const worker::Variable> variables) const {
  Ref dict = Ref::take(PyDict_Copy(known.dict.get()));
  if (!dict) return {};
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const Slot& slot = known.slots[i];
    const auto [name, value] = variables[i];
    if (slot.value) {
      const auto* kept = PyUnicode_1BYTE_DATA(slot.value.get());
      const auto length = static_cast<std::size_t>(PyUnicode_GET_LENGTH(slot.value.get()));
      if (length == value.size() && std::memcmp(kept, value.data(), length) == 0) continue;
    }
    const Ref text = latin1(value);
    if (!text || PyDict_SetItem(dict.get(), slot.key.get(), text.get()) != 0) return {};
    if (name == "HTTPS" &&
        PyDict_SetItem(dict.get(), scheme_key_.get(), (is_secure(name, value) ? https_ : http_).get()) != 0)
      return {};
  }
  return dict;
}

Ref Environ::from_nothing(std::span<const worker::Variable> variables) {
  Ref dict = Ref::take(PyDict_Copy(base_.get()));
  if (!dict || PyDict_SetItem(dict.get(), scheme_key_.get(), http_.get()) != 0) return {};
  Template known;
  for (const auto [name, value] : variables) {
    Slot slot{std::string(name), latin1(name), latin1(value)};
    if (!slot.key || !slot.value) return {};
    PyObject* interned = slot.key.release();
    PyUnicode_InternInPlace(&interned);
    slot.key = Ref::take(interned);
    if (PyDict_SetItem(dict.get(), slot.key.get(), slot.value.get()) != 0) return {};
    if (is_secure(name, value) && PyDict_SetItem(dict.get(), scheme_key_.get(), https_.get()) != 0) return {};
    known.slots.push_back(std::move(slot));
  }
  if (variables.size() > kMostVariables) return dict;

  known.dict = Ref::take(PyDict_Copy(dict.get()));
  if (!known.dict) return {};
  for (Slot& slot : known.slots) {
    const auto length = static_cast<std::size_t>(PyUnicode_GET_LENGTH(slot.value.get()));
    if (length <= kMostKept && std::ranges::find(kSecrets, slot.name) == kSecrets.end()) continue;
    if (PyDict_SetItem(known.dict.get(), slot.key.get(), Py_None) != 0) return {};
    slot.value = {};
  }
  if (templates_.size() == kMostTemplates) templates_.pop_back();
  templates_.insert(templates_.begin(), std::move(known));
  return dict;
}

}  // namespace fivefold::python
