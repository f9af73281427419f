#pragma once
// What the tests of request heads share: parse some bytes, and say what came of it in one word.
#include <string>
#include <string_view>

#include "http/head.h"

namespace fivefold::http {

inline std::string_view verdict_of(const Result<ParsedHead>& parsed) {
  if (parsed) return parsed->consumed == 0 ? "incomplete" : "ok";
  switch (parsed.error().code) {
    case Code::bad_request:
      return "400";
    case Code::uri_too_long:
      return "414";
    case Code::expectation_failed:
      return "417";
    case Code::header_too_large:
      return "431";
    case Code::not_implemented:
      return "501";
    case Code::version_not_supported:
      return "505";
    default:
      return "another error";
  }
}

// Parses `bytes` at once, and again byte by byte from a buffer that moves each time; both must agree.
inline std::string verdict(std::string_view bytes, Head& head, HeadLimits limits = {}) {
  const std::string_view at_once = verdict_of(HeadParser(limits).parse(bytes, head));
  HeadParser parser(limits);
  Head other;
  std::string_view dribbled = "incomplete";
  for (std::size_t size = 0; size <= bytes.size() && dribbled == "incomplete"; ++size) {
    const std::string copy(bytes.substr(0, size));
    dribbled = verdict_of(parser.parse(copy, other));
  }
  return at_once == dribbled ? std::string(at_once)
                             : std::string(at_once) + " at once but " + std::string(dribbled) + " byte by byte";
}

inline std::string verdict(std::string_view bytes, HeadLimits limits = {}) {
  Head head;
  return verdict(bytes, head, limits);
}

}  // namespace fivefold::http
