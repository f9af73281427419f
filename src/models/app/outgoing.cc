#include "models/app/outgoing.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "http/response_parser.h"
#include "http/target.h"

namespace fivefold::models::app {
namespace {

// Whether a client's field of this name is replaced or withheld.
bool is_ours(std::string_view name, const config::App& app) {
  const auto is = [name](std::string_view other) { return equals_ignoring_case(name, other); };
  switch (ascii_lower(name.front())) {
    case 'a':
      return !app.pass_authorization && is("Authorization");
    case 'c':
      return is("Content-Length") || is("Connection");
    case 'e':
      return is("Expect");
    case 'f':
      return is("Forwarded");
    case 'h':
      return is("Host") || is("HTTP2-Settings");
    case 'k':
      return is("Keep-Alive");
    case 'p':
      return is("Proxy") || is("Proxy-Connection") || is("Proxy-Authorization") || is("Proxy-Authenticate");
    case 't':
      return is("TE") || is("Trailer") || is("Transfer-Encoding");
    case 'u':
      return is("Upgrade");
    case 'x':
      if (name.size() < 9) return false;
      return equals_ignoring_case(name.substr(0, 11), "X-Forwarded") || is("X-Real-IP") || is("X-Request-Id");
    default:
      return false;
  }
}

// RFC 7239 section 4: an address in brackets and quotes where it has colons.
std::string forwarded_node(const exchange::Peer& peer) {
  if (peer.address.find(':') == std::string::npos) return peer.address;
  if (peer.address == "unix:") return "unknown";
  return "\"[" + peer.address + "]\"";
}

// What follows the bytes of `raw` that decode to `prefix`, which begins and ends with a slash: "x%2Fy" of
// "/%61pp//x%2Fy" after "/app/". Routing has seen that the path begins so, and there is no dot segment in it.
std::string_view raw_after(std::string_view raw, std::string_view prefix) {
  for (const char c : prefix) {
    if (c == '/')
      raw.remove_prefix(std::min(raw.find_first_not_of('/'), raw.size()));
    else
      raw.remove_prefix(std::min<std::size_t>(raw.starts_with('%') ? 3 : 1, raw.size()));
  }
  return raw;
}

}  // namespace

std::string outgoing_target(const exchange::Request& request, const exchange::Exchange& exchange, bool strip_prefix) {
  const auto& head = request.head;
  std::string target;
  if (head.form == http::TargetForm::asterisk) return "*";
  auto path = head.raw_path;
  const bool rewritten = http::has_dot_segment(path);
  if (strip_prefix && exchange.route_prefix.size() > 1) {
    // "/app/" is taken away but for its last slash.
    const auto prefix = exchange.route_prefix.substr(0, exchange.route_prefix.size() - 1);
    const bool folder = exchange.route_prefix.ends_with('/');
    if (!rewritten && folder && path.starts_with(prefix))
      target = path.substr(prefix.size());
    else if (!rewritten && folder)
      target.append("/").append(raw_after(path, exchange.route_prefix));
    else
      target = "/" + percent_encode_path(exchange.route_rest);
  } else if (rewritten) {
    target = percent_encode_path(request.path);
  } else {
    target = path;
  }
  if (target.empty() || target.front() != '/') target.insert(0, "/");
  if (head.has_query) {
    target += '?';
    target += head.query;
  }
  return target;
}

upstream::OutgoingHead outgoing_head(const AppProgram& program, const exchange::Request& request,
                                     const exchange::Exchange& exchange) {
  const config::App& app = program.settings.app;
  const http::Head& head = request.head;
  const exchange::Peer& peer = request.peer;
  upstream::OutgoingHead out;
  out.method = head.method_text;
  out.target = outgoing_target(request, exchange, app.strip_prefix);
  auto& fields = out.fields;

  const std::string_view client_host =
      head.host_field.empty() ? std::string_view(program.server_name) : head.host_field;
  fields.add("Host", app.host.empty() ? client_host : std::string_view(app.host));
  const std::string_view client = peer.address == "unix:" ? std::string_view("127.0.0.1") : peer.address;
  fields.add("X-Forwarded-For", client);
  fields.add("X-Forwarded-Proto", peer.secure ? "https" : "http");
  fields.add("X-Forwarded-Host", client_host);
  if (peer.local_port != 0) fields.add("X-Forwarded-Port", std::to_string(peer.local_port));
  if (app.strip_prefix && exchange.route_prefix.size() > 1)
    fields.add("X-Forwarded-Prefix",
               percent_encode_path(exchange.route_prefix.substr(0, exchange.route_prefix.size() - 1)));
  fields.add("X-Real-IP", client);
  fields.add("Forwarded", fmt::format("for={};host=\"{}\";proto={}", forwarded_node(peer), client_host,
                                      peer.secure ? "https" : "http"));
  const auto id = exchange.id.text();
  fields.add("X-Request-Id", id);

  std::string connection;
  bool traceparent = false;
  for (const auto& field : head.fields)
    if (equals_ignoring_case(field.name, "Connection"))
      connection.append(connection.empty() ? "" : ",").append(field.value);
  const bool plain_connection =
      connection.empty() || equals_ignoring_case(connection, "keep-alive") || equals_ignoring_case(connection, "close");
  for (const auto& field : head.fields) {
    if (is_ours(field.name, app) || field.name.find('_') != std::string_view::npos) continue;
    if (!plain_connection && http::is_hop_by_hop(field.name, connection)) continue;
    traceparent = traceparent || equals_ignoring_case(field.name, "traceparent");
    fields.add(field.name, field.value);
  }
  if (!traceparent) fields.add("traceparent", fmt::format("00-{}-{}-01", id, id.substr(16)));

  // RFC 9110 section 7.8; h2c is between the client and us alone.
  if (head.upgrade && !head.has_body() && head.minor_version == 1)
    if (const auto upgrade = head.field("Upgrade"); upgrade && !equals_ignoring_case(upgrade->substr(0, 3), "h2c"))
      out.upgrade = *upgrade;
  return out;
}

std::string_view cookie_value(const http::Head& head, std::string_view name) {
  for (const auto& field : head.fields) {
    if (!equals_ignoring_case(field.name, "Cookie")) continue;
    auto rest = field.value;
    while (!rest.empty()) {
      const auto end = rest.find(';');
      const auto pair = trim(rest.substr(0, end));
      if (pair.size() > name.size() && pair[name.size()] == '=' && pair.starts_with(name))
        return pair.substr(name.size() + 1);
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
  return {};
}

}  // namespace fivefold::models::app
