#include "upstream/worker_words.h"

#include <algorithm>

#include "base/text.h"
#include "gateway/worker_protocol.h"

namespace fivefold::upstream {

namespace worker = gateway::worker;

int read_interim(std::string_view text, http::Headers& headers) {
  int status = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return 0;
    const auto name = line.substr(0, colon);
    const auto value = trim(line.substr(colon + 1));
    if (equals_ignoring_case(name, "Status"))
      status = static_cast<int>(parse_decimal(value.substr(0, 3)).value_or(0));
    else if (!http::Headers().add(name, value) || !headers.add(name, value))
      return 0;
  }
  return status > 100 && status < 200 ? status : 0;
}

std::optional<Error> error_of_end(std::uint8_t flags, const std::string& text, bool have_head) {
  const auto told = [&](std::string_view otherwise) {
    return text.empty() ? std::string(otherwise) : printable(text, worker::kMostText);
  };
  if (flags & worker::kTimedOut)
    return Error{Code::program_timeout, told("The script was not done within its time (timeout).")};
  if (flags & worker::kFailed) return Error{Code::internal, told("The script failed.")};
  if (flags & worker::kBroken)
    return Error{Code::program_failed, told("The script ended before its answer was whole.")};
  if (!have_head) return Error{Code::program_failed, told("The script ended without an answer.")};
  return std::nullopt;
}

std::uint32_t milliseconds_until(net::TimePoint at, net::TimePoint now) {
  if (at == net::kNever) return 0;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(at - now).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, 0x7fffffff));
}

}  // namespace fivefold::upstream
