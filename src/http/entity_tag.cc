#include "http/entity_tag.h"

namespace fivefold::http {
namespace {

bool is_weak(std::string_view tag) { return tag.starts_with("W/"); }
std::string_view opaque(std::string_view tag) { return is_weak(tag) ? tag.substr(2) : tag; }

}  // namespace

bool is_entity_tag(std::string_view text) {
  text = opaque(text);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
  for (const char c : text.substr(1, text.size() - 2)) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet <= 0x20 || octet == 0x22 || octet == 0x7f) return false;
  }
  return true;
}

bool strongly_equal(std::string_view a, std::string_view b) { return !a.empty() && !is_weak(a) && a == b; }
bool weakly_equal(std::string_view a, std::string_view b) { return !a.empty() && !b.empty() && opaque(a) == opaque(b); }

}  // namespace fivefold::http
