#include "serve/proxy_protocol.h"

#include <arpa/inet.h>

#include <array>

#include "base/text.h"

namespace fivefold::serve {
namespace {

constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kMaxVersion1 = 107;

std::unexpected<Error> malformed() {
  return fail(Code::bad_request, "the connection does not begin with a valid PROXY protocol header");
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto number = parse_decimal(text);
  if (!number || *number > 65535 || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

std::uint16_t read_u16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>((static_cast<unsigned char>(bytes[at]) << 8) |
                                    static_cast<unsigned char>(bytes[at + 1]));
}

std::string address_text(int family, const char* bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family, bytes, text.data(), text.size());
  return text.data();
}

Result<ProxyHeader> parse_version1(std::string_view bytes) {
  const auto end = bytes.substr(0, kMaxVersion1).find("\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() >= kMaxVersion1) return malformed();
    return ProxyHeader{};
  }
  ProxyHeader header;
  header.consumed = end + 2;
  std::array<std::string_view, 6> word;
  std::size_t count = 0;
  std::string_view rest = bytes.substr(0, end);
  while (count < word.size()) {
    const auto space = rest.find(' ');
    word[count++] = rest.substr(0, space);
    if (space == std::string_view::npos) {
      rest = {};
      break;
    }
    rest.remove_prefix(space + 1);
  }
  if (count >= 2 && word[1] == "UNKNOWN") return header;
  if (count != 6 || !rest.empty() || (word[1] != "TCP4" && word[1] != "TCP6")) return malformed();
  const int family = word[1] == "TCP4" ? AF_INET : AF_INET6;
  std::array<char, 16> scratch{};
  header.source_address = word[2];
  header.destination_address = word[3];
  const auto source_port = parse_port(word[4]);
  const auto destination_port = parse_port(word[5]);
  if (::inet_pton(family, header.source_address.c_str(), scratch.data()) != 1 ||
      ::inet_pton(family, header.destination_address.c_str(), scratch.data()) != 1 || !source_port || !destination_port)
    return malformed();
  header.source_port = *source_port;
  header.destination_port = *destination_port;
  header.known = true;
  return header;
}

Result<ProxyHeader> parse_version2(std::string_view bytes) {
  if (bytes.size() < 16) return ProxyHeader{};
  const auto version_command = static_cast<unsigned char>(bytes[12]);
  const auto family = static_cast<unsigned char>(bytes[13]);
  const std::size_t length = read_u16(bytes, 14);
  if ((version_command >> 4) != 2 || (version_command & 15) > 1 || 16 + length > kMaxProxyHeader) return malformed();
  if (bytes.size() < 16 + length) return ProxyHeader{};
  ProxyHeader header;
  header.consumed = 16 + length;
  if ((version_command & 15) == 0) return header;  // LOCAL: the balancer's own health check
  if (family == 0x11) {
    if (length < 12) return malformed();
    header.source_address = address_text(AF_INET, bytes.data() + 16);
    header.destination_address = address_text(AF_INET, bytes.data() + 20);
    header.source_port = read_u16(bytes, 24);
    header.destination_port = read_u16(bytes, 26);
    header.known = true;
  } else if (family == 0x21) {
    if (length < 36) return malformed();
    header.source_address = address_text(AF_INET6, bytes.data() + 16);
    header.destination_address = address_text(AF_INET6, bytes.data() + 32);
    header.source_port = read_u16(bytes, 48);
    header.destination_port = read_u16(bytes, 50);
    header.known = true;
  }
  return header;
}

}  // namespace

Result<ProxyHeader> parse_proxy_header(std::string_view bytes) {
  const auto starts = [&](std::string_view what) { return bytes.starts_with(what.substr(0, bytes.size())); };
  if (bytes.empty()) return ProxyHeader{};
  if (starts("PROXY ")) return bytes.size() < 6 ? Result<ProxyHeader>{ProxyHeader{}} : parse_version1(bytes);
  if (starts(kSignature2))
    return bytes.size() < kSignature2.size() ? Result<ProxyHeader>{ProxyHeader{}} : parse_version2(bytes);
  return malformed();
}

}  // namespace fivefold::serve
