#include "models/app/outgoing.h"

#include <charconv>

#include <algorithm>

#include "base/text.h"
#include "http/response_parser.h"
#include "http/target.h"

namespace fivefold::models::app {
namespace {

constexpr std::size_t kOurFields = 384;  // bytes of what is added, without addresses and names of hosts

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
void append_forwarded_node(const exchange::Peer& peer, std::string& out) {
  if (peer.address == "unix:")
    out.append("unknown");
  else if (peer.address.find(':') != std::string::npos)
    out.append("\"[").append(peer.address).append("]\"");
  else
    out.append(peer.address);
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
  const std::string_view client = peer.address == "unix:" ? std::string_view("127.0.0.1") : peer.address;
  const std::string_view scheme = peer.secure ? "https" : "http";
  const auto id = exchange.id.text();
  std::size_t size = kOurFields + 3 * client_host.size() + 3 * client.size();
  for (const auto& field : head.fields) size += field.name.size() + field.value.size() + 4;
  fields.reserve(size);
  fields.add("Host", app.host.empty() ? client_host : std::string_view(app.host));
  if (app.forward & config::kForwardX) {
    fields.add("X-Forwarded-For", client);
    fields.add("X-Forwarded-Proto", scheme);
    fields.add("X-Forwarded-Host", client_host);
    if (peer.local_port != 0) {
      char digits[8];
      const auto end = std::to_chars(digits, digits + sizeof digits, peer.local_port).ptr;
      fields.add("X-Forwarded-Port", {digits, end});
    }
  }
  if (app.strip_prefix && exchange.route_prefix.size() > 1)
    fields.add("X-Forwarded-Prefix",
               percent_encode_path(exchange.route_prefix.substr(0, exchange.route_prefix.size() - 1)));
  if (app.forward & config::kForwardRealIp) fields.add("X-Real-IP", client);
  thread_local std::string text;  // its room is there for the next request
  if (app.forward & config::kForwardStandard) {
    text.assign("for=");
    append_forwarded_node(peer, text);
    text.append(";host=\"").append(client_host).append("\";proto=").append(scheme);
    fields.add("Forwarded", text);
  }
  if (app.forward & config::kForwardId) fields.add("X-Request-Id", id);

  const http::Field* connection = nullptr;
  std::string joined;
  for (const auto& field : head.fields) {
    if (!equals_ignoring_case(field.name, "Connection")) continue;
    if (connection) joined.append(joined.empty() ? connection->value : "").append(",").append(field.value);
    connection = &field;
  }
  const std::string_view options = !connection ? std::string_view() : joined.empty() ? connection->value : joined;
  const bool plain_connection =
      options.empty() || equals_ignoring_case(options, "keep-alive") || equals_ignoring_case(options, "close");
  bool traceparent = false;
  for (const auto& field : head.fields) {
    if (is_ours(field.name, app) || field.name.find('_') != std::string_view::npos) continue;
    if (!plain_connection && http::is_hop_by_hop(field.name, options)) continue;
    traceparent = traceparent || equals_ignoring_case(field.name, "traceparent");
    fields.add_parsed(field);
  }
  if (!traceparent && (app.forward & config::kForwardTrace)) {
    text.assign("00-").append(id).append("-").append(id.substr(16)).append("-01");
    fields.add("traceparent", text);
  }

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
