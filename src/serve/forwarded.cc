#include "serve/forwarded.h"

#include <vector>

#include "base/text.h"
#include "http/authority.h"
#include "serve/address_range.h"

namespace fivefold::serve {
namespace {

struct Hop {
  std::string_view address = {};
  std::string_view proto = {};
  std::string_view host = {};
};

std::string_view unquoted(std::string_view text) {
  return text.size() >= 2 && text.front() == '"' && text.back() == '"' ? text.substr(1, text.size() - 2) : text;
}

// "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", quoted or not, to the address alone.
std::string_view bare_address(std::string_view text) {
  text = unquoted(trim(text));
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
      const auto value = unquoted(pair.substr(equals + 1));
      if (equals_ignoring_case(name, "for")) hop.address = bare_address(value);
      if (equals_ignoring_case(name, "proto")) hop.proto = value;
      if (equals_ignoring_case(name, "host")) hop.host = value;
    }
    if (semicolon == std::string_view::npos) break;
    element.remove_prefix(semicolon + 1);
  }
  return hop;
}

// Gives the items of all fields of that name to the hops, the last item to the last hop.
void add_from_the_right(const http::Head& head, std::string_view name, std::string_view Hop::* part,
                        std::vector<Hop>& hops) {
  std::vector<std::string_view> items;
  for (const auto& field : head.fields)
    if (equals_ignoring_case(field.name, name))
      for_each_list_item(field.value, [&items](std::string_view item) { items.push_back(item); });
  if (!items.empty() && hops.empty()) hops.emplace_back();
  for (std::size_t i = 1; i <= std::min(items.size(), hops.size()); ++i)
    hops[hops.size() - i].*part = items[items.size() - i];
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
        for_each_list_item(field.value,
                           [&](std::string_view item) { hops.push_back({.address = bare_address(item)}); });
    add_from_the_right(head, "x-forwarded-proto", &Hop::proto, hops);
    add_from_the_right(head, "x-forwarded-host", &Hop::host, hops);
  }
  exchange::Peer client = peer;
  for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
    if (!hop->proto.empty()) client.secure = equals_ignoring_case(hop->proto, "https");
    if (http::parse_authority(hop->host)) client.forwarded_host = std::string(hop->host);
    if (hop->address.empty() || !AddressRange::parse(hop->address))
      break;  // "unknown", an obfuscated name, or nonsense
    client.address = std::string(hop->address);
    client.port = 0;
    if (!site.trusts(client.address)) break;
  }
  return client;
}

}  // namespace fivefold::serve
