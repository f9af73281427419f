#include "upstream/endpoint.h"

#include "base/text.h"

namespace fivefold::upstream {
namespace {

constexpr std::size_t kLongestUnixPath = 107;  // sun_path with its NUL

Result<Endpoint> host_and_port(std::string_view text, std::optional<std::uint16_t> default_port, bool tls) {
  Endpoint endpoint{.tls = tls};
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return fail(Code::internal, "the bracket of an IPv6 address is not closed");
    endpoint.host = text.substr(1, close - 1);
    const auto rest = text.substr(close + 1);
    if (!rest.empty() && !rest.starts_with(':'))
      return fail(Code::internal, "after ']' comes a port, as in [::1]:9000");
    if (!rest.empty()) port = rest.substr(1);
  } else {
    const auto colon = text.rfind(':');
    endpoint.host = text.substr(0, colon);
    if (endpoint.host.find(':') != std::string::npos)
      return fail(Code::internal, "an IPv6 address stands in brackets, as in [::1]:9000");
    if (colon != std::string_view::npos) port = text.substr(colon + 1);
  }
  if (endpoint.host.empty()) return fail(Code::internal, "there is no host before the port");
  if (endpoint.host.find_first_of(" /?#@") != std::string::npos)
    return fail(Code::internal, "a host has no ' ', '/', '?', '#' or '@'");
  if (port.empty() && default_port) {
    endpoint.port = *default_port;
    return endpoint;
  }
  const auto number = parse_decimal(port);
  if (!number || *number == 0 || *number > 65535) return fail(Code::internal, "there is no port from 1 to 65535");
  endpoint.port = static_cast<std::uint16_t>(*number);
  return endpoint;
}

}  // namespace

std::string Endpoint::text() const {
  if (!path.empty()) return "unix:" + path;
  const auto bracketed = host.find(':') != std::string::npos ? "[" + host + "]" : host;
  return (tls ? "https://" : "") + bracketed + ":" + std::to_string(port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  if (text.starts_with("unix:")) {
    const auto path = text.substr(5);
    if (!path.starts_with('/') && !path.starts_with('@'))
      return fail(Code::internal, "the path of a Unix socket begins with '/'");
    if (path.size() > kLongestUnixPath)
      return fail(Code::internal, "the path of a Unix socket is at most 107 bytes long");
    if (path.find('\0') != std::string_view::npos) return fail(Code::internal, "a path has no NUL");
    return Endpoint{.path = std::string(path)};
  }
  if (text.starts_with("https://")) return host_and_port(text.substr(8), 443, true);
  if (text.starts_with("http://")) return host_and_port(text.substr(7), 80, false);
  return host_and_port(text, std::nullopt, false);
}

}  // namespace fivefold::upstream
