#include "config/upstream_address.h"

#include <arpa/inet.h>

#include <array>

#include "base/text.h"
#include "config/listen_address.h"
#include "http/authority.h"

namespace fivefold::config {
namespace {

using Parsed = std::expected<UpstreamAddress, Complaint>;

Parsed complain(std::string message, std::string mend) {
  return std::unexpected(Complaint{std::move(message), std::move(mend)});
}

Parsed parse_unix(std::string_view path, const std::string& directory) {
  if (path.starts_with("//")) path.remove_prefix(2);  // "unix:///run/x.sock"
  UpstreamAddress address;
  if (path.starts_with('@')) {
    if (path.size() == 1) return complain("the name of the socket is missing", "write \"unix:/run/x.sock\"");
    address.path = path;
  } else {
    if (auto complaint = check_path(path); !complaint.message.empty()) return std::unexpected(std::move(complaint));
    address.path = absolute_path(path, directory);
  }
  if (address.path.size() > kLongestUnixPath)
    return complain("a socket's path has at most 107 bytes", "choose a shorter one, such as \"unix:/run/x.sock\"");
  address.text = "unix:" + address.path;
  return address;
}

bool is_ipv6(std::string_view text) {
  std::array<unsigned char, 16> bytes{};
  return text.size() < 64 && ::inet_pton(AF_INET6, std::string(text).c_str(), bytes.data()) == 1;
}

// `rest` is `address.text` without its scheme; `usual_port` is 0 where a port must be said.
Parsed parse_tcp(UpstreamAddress address, std::string_view rest, std::uint16_t usual_port) {
  const std::string example = "write \"127.0.0.1:9000\", \"unix:/path\" or \"https://name\"";
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    if (slash + 1 == rest.size() && usual_port != 0)
      return complain("an address ends with its host or port", "leave out the / at its end");
    return complain("an address has no path",
                    "write \"" + printable(address.text.substr(0, address.text.size() - (rest.size() - slash))) +
                        "\"; the request's path is passed on");
  }
  std::string_view host = rest, port;
  if (rest.starts_with('[')) {
    const auto close = rest.find(']');
    if (close == std::string_view::npos) return complain("the ] is missing", example);
    host = rest.substr(1, close - 1);
    if (!is_ipv6(host)) return complain("not an IPv6 address", example);
    const auto behind = rest.substr(close + 1);
    if (!behind.empty() && !behind.starts_with(':')) return complain("after ] comes a port", "write \"[::1]:9000\"");
    port = behind.empty() ? behind : behind.substr(1);
  } else {
    const auto colon = rest.rfind(':');
    host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon + 1);
    if (host.find(':') != std::string_view::npos)
      return complain("an IPv6 address stands in brackets", "write \"[" + printable(rest) + "]:9000\"");
    if (host.empty()) return complain("an address needs a host", "write \"127.0.0.1" + printable(rest) + "\"");
    if (colon == std::string_view::npos && usual_port == 0 && parse_decimal(rest))
      return complain("an address needs a host", "write \"127.0.0.1:" + std::string(rest) + "\"");
    if (host == "*" || !http::parse_authority(host)) return complain("not the name or address of a host", example);
  }
  address.host = host;
  if (port.empty() && usual_port != 0 && !rest.ends_with(':')) {
    address.port = usual_port;
    return address;
  }
  if (port.empty())
    return complain("an address needs a port",
                    "write \"" + printable(rest.ends_with(':') ? rest.substr(0, rest.size() - 1) : rest) + ":9000\"");
  const auto number = parse_decimal(port);
  if (!number || port.size() > 5 || *number == 0 || *number > 65535)
    return complain("a port is a number from 1 to 65535", example);
  address.port = static_cast<std::uint16_t>(*number);
  return address;
}

}  // namespace

bool UpstreamAddress::same_place(const UpstreamAddress& other) const {
  return path == other.path && equals_ignoring_case(host, other.host) && port == other.port && tls == other.tls;
}

Parsed parse_upstream(std::string_view text, const std::string& directory) {
  if (text.starts_with("unix:")) return parse_unix(text.substr(5), directory);
  if (text.starts_with('/')) return complain("not an address", "write \"unix:" + printable(text) + "\"");
  UpstreamAddress address{.text = std::string(text)};
  if (text.starts_with("http://")) return parse_tcp(std::move(address), text.substr(7), 80);
  address.tls = text.starts_with("https://");
  if (address.tls) return parse_tcp(std::move(address), text.substr(8), 443);
  if (const auto scheme = text.find("://"); scheme != std::string_view::npos)
    return complain("there are http:// and https:// only", "leave out \"" + printable(text.substr(0, scheme + 3)) +
                                                               "\" and say it with protocol = \"fastcgi\", "
                                                               "\"scgi\" or \"uwsgi\"");
  return parse_tcp(std::move(address), text, 0);
}

}  // namespace fivefold::config
