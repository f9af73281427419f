#pragma once
// What a worker's frames say beyond their bytes, for the exchanges of both kinds of channel.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/headers.h"
#include "net/timer.h"

namespace fivefold::upstream {

// "Status: 103\r\nLink: ...\r\n" of an informational response, 101 among them: its status, and its fields in `headers`.
// 0: it is none.
int read_interim(std::string_view text, http::Headers& headers);

// What went wrong, as the flags of an `end` frame and its text tell; nothing: the response is whole.
std::optional<Error> error_of_end(std::uint8_t flags, const std::string& text, bool have_head);

// The time limit that a request is sent with; 0: none.
std::uint32_t milliseconds_until(net::TimePoint at, net::TimePoint now);

}  // namespace fivefold::upstream
