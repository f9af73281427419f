#include "gateway/scgi.h"

#include "gateway/variables.h"

namespace fivefold::gateway {
namespace {

constexpr std::size_t kMostUwsgi = 0xffff;

void append_little_endian(std::size_t number, std::string& out) {
  out.push_back(static_cast<char>(number));
  out.push_back(static_cast<char>(number >> 8));
}

void append_header(std::string_view name, std::string_view value, std::string& out) {
  out.append(name);
  out.push_back('\0');
  out.append(value);
  out.push_back('\0');
}

}  // namespace

std::string scgi_request(const process::StringBlock& environment, std::uint64_t content_length) {
  std::string headers;
  headers.reserve(environment.bytes().size() + 64);
  append_header("CONTENT_LENGTH", std::to_string(content_length), headers);
  append_header("SCGI", "1", headers);
  for_each_variable(environment, [&headers](std::string_view name, std::string_view value) {
    // Each name only once: whoever reads the second would see another request.
    if (!name.empty() && name != "CONTENT_LENGTH" && name != "SCGI") append_header(name, value, headers);
  });
  std::string request = std::to_string(headers.size());
  request.reserve(request.size() + headers.size() + 2);
  request.push_back(':');
  request.append(headers);
  request.push_back(',');
  return request;
}

Result<std::string> uwsgi_request(const process::StringBlock& environment) {
  std::string packet(4, '\0');
  packet.reserve(environment.bytes().size() + 3 * std::size_t{environment.count()} + 4);
  bool fits = true;
  for_each_variable(environment, [&packet, &fits](std::string_view name, std::string_view value) {
    if (name.empty()) return;
    // Checked for each, so that no length ever wraps round.
    fits = fits && name.size() <= kMostUwsgi && value.size() <= kMostUwsgi &&
           packet.size() - 4 + name.size() + value.size() + 4 <= kMostUwsgi;
    if (!fits) return;
    append_little_endian(name.size(), packet);
    packet.append(name);
    append_little_endian(value.size(), packet);
    packet.append(value);
  });
  if (!fits)
    return fail(Code::header_too_large,
                "the request's variables are larger than the 65535 bytes that the uwsgi protocol can carry; another "
                "protocol (http, fastcgi, scgi) has no such bound");
  const std::size_t size = packet.size() - 4;
  packet[1] = static_cast<char>(size);
  packet[2] = static_cast<char>(size >> 8);
  return packet;
}

}  // namespace fivefold::gateway
