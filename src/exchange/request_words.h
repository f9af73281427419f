#pragma once
// A request in words, for status and logs.
#include <string_view>

#include "http/head.h"

namespace fivefold::exchange {

// "GET /path?query" of the request line, as it stands in the connection's buffer where both words do; else the target.
inline std::string_view request_in_words(const http::Head& head) {
  const char* method = head.method_text.data();
  if (head.target.data() != method + head.method_text.size() + 1) return head.target;
  return {method, head.method_text.size() + 1 + head.target.size()};
}

}  // namespace fivefold::exchange
