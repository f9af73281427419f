#pragma once
// Header fields, in the two forms they have here: views into a received head, and a response's own, kept in wire form.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace fivefold::http {

// One received field. Both views point into the buffer the head was parsed from, and live as long as that does.
struct Field {
  std::string_view name;   // as received; compare without case
  std::string_view value;  // without the white space around it
};

// RFC 9110 section 5.6.2: the bytes a method or a field name may have.
bool is_token(std::string_view text);

// RFC 9110 section 5.5: visible bytes, space, tab and obs-text; no NUL, CR, LF or other control.
bool is_field_value(std::string_view text);

// The fields of a response, in the order they were added, kept as they go over the wire ("Name: value\r\n" ...).
// Every byte is checked when it is added, so that what is in here can be sent as it stands (CVE-2016-8743,
// CVE-2022-37436).
class Headers {
 public:
  // Adds a field; another of that name stays. A bad name or value is refused and nothing is added: false.
  bool add(std::string_view name, std::string_view value);
  // Adds a field of a head that was parsed here, whose bytes the parser has checked; neither view points into this.
  void add_parsed(const Field& field) { wire_.append(field.name).append(": ").append(field.value).append("\r\n"); }
  // Replaces every field of that name by one.
  bool set(std::string_view name, std::string_view value);
  void remove(std::string_view name);

  // The value of the first field of that name; empty when there is none. Valid until the next change.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  bool empty() const { return wire_.empty(); }

  // Calls each(name, value) for every field, in order.
  template <class Each>
  void for_each(Each&& each) const {
    std::string_view rest = wire_;
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      const auto line = rest.substr(0, end - 1);
      const auto colon = line.find(':');
      each(line.substr(0, colon), line.substr(colon + 2));
      rest.remove_prefix(end + 1);
    }
  }

  const std::string& wire() const { return wire_; }
  // For who knows about how many bytes are to come.
  void reserve(std::size_t bytes) { wire_.reserve(bytes); }

 private:
  std::string wire_;
};

}  // namespace fivefold::http
