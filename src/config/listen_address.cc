#include "config/listen_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "http/authority.h"

namespace fivefold::config {
namespace {

bool is_ip(int family, std::string_view text) {
  std::array<unsigned char, 16> bytes{};
  return text.size() < 64 && ::inet_pton(family, std::string(text).c_str(), bytes.data()) == 1;
}

std::unexpected<Complaint> complain(std::string message, std::string mend) {
  return std::unexpected(Complaint{std::move(message), std::move(mend)});
}

std::expected<Listen, Complaint> parse_unix(std::string_view path, Listen listen, const std::string& directory) {
  if (path.starts_with("//")) path.remove_prefix(2);  // "unix:///run/x.sock"
  if (path.starts_with('@'))
    return complain("abstract sockets have no owner and no mode", "write a path: \"unix:/run/fivefold.sock\"");
  if (auto complaint = check_path(path); !complaint.message.empty()) return std::unexpected(std::move(complaint));
  listen.unix_path = absolute_path(path, directory);
  if (listen.unix_path.size() > kLongestUnixPath)
    return complain("a socket's path has at most 107 bytes",
                    "choose a shorter one, such as \"unix:/run/fivefold.sock\"");
  return listen;
}

}  // namespace

std::expected<Listen, Complaint> parse_listen(std::string_view text, const std::string& directory) {
  const std::string example = "write \"host:port\", \"*:port\" for every address, or \"unix:/path\"";
  Listen listen;
  listen.address = text;
  if (text.starts_with("unix:")) return parse_unix(text.substr(5), std::move(listen), directory);
  if (text.find("://") != std::string_view::npos)
    return complain("an address has no scheme",
                    "leave out \"" + std::string(text.substr(0, text.find("://") + 3)) + "\"");
  if (text.starts_with('/')) return complain("not an address", "write \"unix:" + printable(text) + "\"");
  const auto colon = text.rfind(':');
  if (parse_decimal(text))
    return complain("an address needs a host", "write \"127.0.0.1:" + std::string(text) +
                                                   "\", or \"*:" + std::string(text) + "\" for every address");
  if (colon == std::string_view::npos || text.ends_with(']'))
    return complain("an address needs a port", "write \"" + printable(text) + ":8080\"");
  auto host = text.substr(0, colon);
  const auto port_text = text.substr(colon + 1);
  if (host.empty())
    return complain("an address needs a host", "write \"*" + printable(text) + "\" for every address, or \"127.0.0.1" +
                                                   printable(text) + "\" for this machine alone");
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return complain("the ] is missing", example);
    host = host.substr(1, host.size() - 2);
    if (!is_ip(AF_INET6, host.substr(0, host.find('%')))) return complain("not an IPv6 address", example);
  } else if (host.find(':') != std::string_view::npos) {
    return complain("an IPv6 address stands in brackets",
                    "write \"[" + printable(host) + "]:" + printable(port_text) + "\"");
  } else if (host == "*") {
    host = {};
  } else if (!is_ip(AF_INET, host)) {
    const bool digits = host.find_first_not_of("0123456789.") == std::string_view::npos;
    if (digits) return complain("not an IPv4 address", example);
    if (!http::parse_authority(host)) return complain("not a host name", example);
  }
  const auto port = parse_decimal(port_text);
  if (!port || port_text.size() > 5 || *port > 65535) return complain("a port is a number from 0 to 65535", example);
  listen.host = host;
  listen.port = static_cast<std::uint16_t>(*port);
  return listen;
}

bool same_socket(const Listen& a, const Listen& b) {
  if (!a.unix_path.empty() || !b.unix_path.empty()) return a.unix_path == b.unix_path;
  return a.port == b.port && a.port != 0 && equals_ignoring_case(a.host, b.host);
}

Complaint check_address_range(std::string_view text) {
  if (text == "unix:") return {};
  const auto slash = text.find('/');
  const auto address = text.substr(0, slash);
  const bool v4 = is_ip(AF_INET, address);
  if (!v4 && !is_ip(AF_INET6, address))
    return {"neither an address nor a range",
            "write an address, a range such as \"10.0.0.0/8\" or \"2001:db8::/32\", or \"unix:\""};
  if (slash == std::string_view::npos) return {};
  const auto bits = parse_decimal(text.substr(slash + 1));
  if (!bits || *bits > (v4 ? 32u : 128u))
    return {"the number after / is too large or no number", v4 ? "write 0 to 32" : "write 0 to 128"};
  return {};
}

}  // namespace fivefold::config
