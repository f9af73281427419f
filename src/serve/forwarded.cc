#include "serve/forwarded.h"

#include <vector>

#include "base/text.h"
#include "serve/address_range.h"

namespace fivefold::serve {
namespace {

struct Hop {
  std::string_view address;
  std::string_view proto;
};

// "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", quoted or not, to the address alone.
std::string_view bare_address(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    return close == std::string_view::npos ? std::string_view() : text.substr(1, close - 1);
  }
  const auto colon = text.find(':');
  if (colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos)
    return text.substr(0, colon);
  return text;
}

Hop parse_forwarded_element(std::string_view element) {
  Hop hop;
  while (!element.empty()) {
    const auto semicolon = element.find(';');
    const auto pair = trim(element.substr(0, semicolon));
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos) {
      const auto name = pair.substr(0, equals);
      auto value = pair.substr(equals + 1);
      if (equals_ignoring_case(name, "for")) hop.address = bare_address(value);
      if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
      if (equals_ignoring_case(name, "proto")) hop.proto = value;
    }
    if (semicolon == std::string_view::npos) break;
    element.remove_prefix(semicolon + 1);
  }
  return hop;
}

}  // namespace

exchange::Peer client_behind(const exchange::Peer& peer, const http::Head& head, const Site& site) {
  if (!site.trusts(peer.address)) return peer;
  std::vector<Hop> hops;
  bool forwarded = false;
  for (const auto& field : head.fields) {
    if (!equals_ignoring_case(field.name, "forwarded")) continue;
    forwarded = true;
    for_each_list_item(field.value,
                       [&](std::string_view element) { hops.push_back(parse_forwarded_element(element)); });
  }
  if (!forwarded) {
    for (const auto& field : head.fields)
      if (equals_ignoring_case(field.name, "x-forwarded-for"))
        for_each_list_item(field.value, [&](std::string_view item) { hops.push_back({bare_address(item), {}}); });
    if (const auto proto = head.field("x-forwarded-proto"); proto && !hops.empty()) hops.back().proto = *proto;
    if (const auto proto = head.field("x-forwarded-proto"); proto && hops.empty()) hops.push_back({{}, *proto});
  }
  exchange::Peer client = peer;
  for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
    if (!hop->proto.empty()) client.secure = equals_ignoring_case(hop->proto, "https");
    if (hop->address.empty() || !AddressRange::parse(hop->address))
      break;  // "unknown", an obfuscated name, or nonsense
    client.address = std::string(hop->address);
    client.port = 0;
    if (!site.trusts(client.address)) break;
  }
  return client;
}

}  // namespace fivefold::serve
