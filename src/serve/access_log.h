#pragma once
// One line for each request, in the "combined" form that every log tool reads, or as JSON.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/config.h"
#include "exchange/exchange.h"
#include "http/head.h"

namespace fivefold::serve {

struct AccessEntry {
  std::string_view client;          // address
  std::string_view user;            // authenticated, or empty
  std::int64_t unix_seconds = 0;    // when the request's head had come
  std::string_view method, target;  // as received; empty when the head was malformed
  int minor_version = 1;
  int status = 0;           // 499: the client left before there was an answer
  std::uint64_t bytes = 0;  // of the response's body, as sent
  std::chrono::microseconds duration{0};
  std::string_view host, referer, user_agent;
  std::string_view request_id;
  std::string_view program;  // that answered; empty for files
  bool cut = false;          // the response did not reach its end
};

// Appends the line to `out`, without a line feed. Quotes, backslashes and every byte outside printable ASCII are
// escaped.
void append_access_line(const AccessEntry& entry, config::LogFormat format, std::string& out);

}  // namespace fivefold::serve
