// Any variables: what is written for SCGI, uwsgi and FastCGI reads back as the same variables, and no length lies.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/fastcgi.h"
#include "gateway/scgi.h"
#include "gateway/variables.h"

using fivefold::process::StringBlock;
using Variables = std::vector<std::pair<std::string, std::string>>;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

std::size_t byte(std::string_view bytes, std::size_t at) {
  require(at < bytes.size());
  return static_cast<std::uint8_t>(bytes[at]);
}

Variables read_scgi(std::string_view request) {
  std::size_t size = 0, at = 0;
  for (; byte(request, at) != ':'; ++at) size = size * 10 + (byte(request, at) - '0');
  require(request.size() == at + 1 + size + 1 && request.back() == ',');
  auto rest = request.substr(at + 1, size);
  Variables variables;
  while (!rest.empty()) {
    const auto name = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(name.size() + 1);
    const auto value = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(value.size() + 1);
    variables.emplace_back(name, value);
  }
  return variables;
}

Variables read_uwsgi(std::string_view packet) {
  require(byte(packet, 0) == 0 && byte(packet, 3) == 0);
  require(packet.size() == 4 + (byte(packet, 1) | byte(packet, 2) << 8));
  Variables variables;
  const auto text = [&packet](std::size_t& at) {
    const std::size_t size = byte(packet, at) | byte(packet, at + 1) << 8;
    require(at + 2 + size <= packet.size());
    const auto found = packet.substr(at + 2, size);
    at += 2 + size;
    return std::string(found);
  };
  for (std::size_t at = 4; at < packet.size();) {
    auto name = text(at);
    auto value = text(at);
    variables.emplace_back(std::move(name), std::move(value));
  }
  return variables;
}

Variables read_fastcgi(std::string_view bytes) {
  std::string params;
  require(byte(bytes, 1) == 1 && byte(bytes, 5) == 8);
  for (std::size_t at = 16; at < bytes.size();) {
    const std::size_t size = byte(bytes, at + 4) << 8 | byte(bytes, at + 5);
    require(byte(bytes, at) == 1 && byte(bytes, at + 1) == 4 && byte(bytes, at + 6) == 0);
    params.append(bytes.substr(at + 8, size));
    at += 8 + size;
    require((size == 0) == (at == bytes.size()));
  }
  Variables variables;
  const auto length = [&params](std::size_t& at) {
    const std::size_t first = byte(params, at);
    if (first < 128) return ++at, first;
    const std::size_t all =
        (first & 0x7f) << 24 | byte(params, at + 1) << 16 | byte(params, at + 2) << 8 | byte(params, at + 3);
    at += 4;
    return all;
  };
  for (std::size_t at = 0; at < params.size();) {
    const auto name = length(at);
    const auto value = length(at);
    require(at + name + value <= params.size());
    variables.emplace_back(params.substr(at, name), params.substr(at + name, value));
    at += name + value;
  }
  return variables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Strings apart by NUL; a first byte of a repetition makes long ones.
  if (size < 1) return 0;
  const std::size_t times = data[0] % 8 == 7 ? 3000 : 1;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  StringBlock environment;
  Variables all;
  std::size_t total = 0;
  while (!rest.empty() && total < (1u << 20)) {
    const auto text = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    std::string longer(text);
    if (longer.find('=') == std::string::npos) longer.push_back('=');
    for (std::size_t i = 1; i < times; ++i) longer.append(text);
    environment.add(longer);
    total += longer.size() + 9;
  }
  fivefold::gateway::for_each_variable(
      environment, [&all](std::string_view name, std::string_view value) { all.emplace_back(name, value); });

  std::string fastcgi;
  fivefold::gateway::append_fastcgi_begin(1, true, environment, fastcgi);
  require(read_fastcgi(fastcgi) == all);

  std::erase_if(all, [](const auto& variable) { return variable.first.empty(); });
  if (const auto uwsgi = fivefold::gateway::uwsgi_request(environment)) require(read_uwsgi(*uwsgi) == all);

  std::erase_if(all,
                [](const auto& variable) { return variable.first == "CONTENT_LENGTH" || variable.first == "SCGI"; });
  all.insert(all.begin(), {{"CONTENT_LENGTH", "12"}, {"SCGI", "1"}});
  require(read_scgi(fivefold::gateway::scgi_request(environment, 12)) == all);
  return 0;
}
