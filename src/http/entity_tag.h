#pragma once
// Entity tags (RFC 9110 section 8.8.3): comparing one with the lists that If-Match and If-None-Match carry.
#include <string_view>

namespace fivefold::http {

// An optional "W/" and a quoted string of etagc.
bool is_entity_tag(std::string_view text);

// Strong: neither is weak and both are the same byte for byte. Weak: the same but for "W/". An empty one equals
// nothing.
bool strongly_equal(std::string_view a, std::string_view b);
bool weakly_equal(std::string_view a, std::string_view b);

// Calls `each(tag)` for every well-formed tag of a comma-separated list; commas inside quotes are part of the tag. An
// item that is no tag is skipped up to the next comma.
template <class Each>
void for_each_entity_tag(std::string_view list, Each&& each) {
  while (!list.empty()) {
    if (list.front() == ' ' || list.front() == '\t' || list.front() == ',') {
      list.remove_prefix(1);
      continue;
    }
    const auto opening = list.starts_with("W/\"") ? std::size_t{3} : std::size_t{1};
    const auto closing = opening == 3 || list.front() == '"' ? list.find('"', opening) : std::string_view::npos;
    std::size_t end = closing == std::string_view::npos ? 0 : closing + 1;
    const auto tag = list.substr(0, end);
    list.remove_prefix(end);
    while (!list.empty() && (list.front() == ' ' || list.front() == '\t')) list.remove_prefix(1);
    if (list.empty() || list.front() == ',') {
      if (is_entity_tag(tag)) each(tag);
      continue;
    }
    const auto comma = list.find(',');
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma);
  }
}

}  // namespace fivefold::http
