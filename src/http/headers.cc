#include "http/headers.h"

#include <algorithm>
#include <functional>

#include "base/text.h"
#include "http/octets.h"

namespace fivefold::http {
namespace {

// Where in `wire` the first field of that name at or after `from` begins; npos when there is none. `from` is a line's
// start.
std::size_t find_field(std::string_view wire, std::string_view name, std::size_t from = 0) {
  while (from < wire.size()) {
    if (wire.size() - from > name.size() && wire[from + name.size()] == ':' &&
        equals_ignoring_case(wire.substr(from, name.size()), name))
      return from;
    from = wire.find('\n', from) + 1;
  }
  return std::string_view::npos;
}

bool points_into(std::string_view part, const std::string& whole) {
  const std::less_equal<const char*> not_after;
  return not_after(whole.data(), part.data()) && not_after(part.data(), whole.data() + whole.size());
}

}  // namespace

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_octet); }

bool is_field_value(std::string_view text) {
  for (std::size_t at = find_control(text, 0); at < text.size(); at = find_control(text, at + 1))
    if (text[at] != '\t') return false;
  return true;
}

bool Headers::add(std::string_view name, std::string_view value) {
  if (!is_token(name) || !is_field_value(value)) return false;
  value = trim(value);
  if (points_into(value, wire_) || points_into(name, wire_)) return add(std::string(name), std::string(value));
  wire_.append(name).append(": ").append(value).append("\r\n");
  return true;
}

bool Headers::set(std::string_view name, std::string_view value) {
  if (!is_token(name) || !is_field_value(value)) return false;
  if (points_into(value, wire_) || points_into(name, wire_)) return set(std::string(name), std::string(value));
  remove(name);
  return add(name, value);
}

void Headers::remove(std::string_view name) {
  if (!is_token(name)) return;
  if (points_into(name, wire_)) return remove(std::string(name));
  for (auto at = find_field(wire_, name); at != std::string::npos; at = find_field(wire_, name, at))
    wire_.erase(at, wire_.find('\n', at) + 1 - at);
}

std::string_view Headers::get(std::string_view name) const {
  const std::string_view wire = wire_;
  const auto at = find_field(wire, name);
  if (at == std::string_view::npos) return {};
  const auto value = at + name.size() + 2;
  return wire.substr(value, wire.find('\r', value) - value);
}

bool Headers::has(std::string_view name) const { return find_field(wire_, name) != std::string_view::npos; }

}  // namespace fivefold::http
