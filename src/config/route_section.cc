#include "config/route_section.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "config/file_name_checks.h"
#include "config/path_pattern.h"
#include "config/symlinks_key.h"
#include "http/headers.h"

namespace fivefold::config {
namespace {

constexpr std::array<std::string_view, 5> kActions = {"run", "files", "redirect", "metrics", "deny"};
constexpr std::array<std::string_view, 8> kFilesKeys = {"index",         "listing",  "dot_files",  "cache_control",
                                                        "precompressed", "symlinks", "max_ranges", "types"};
constexpr std::size_t kMostRanges = 1000;

Complaint check_method(std::string_view method) {
  if (!http::is_token(method)) return {"not a method", "write \"GET\""};
  if (method == "TRACE" || method == "CONNECT") return {"the server never passes this method on", "leave it out"};
  std::string upper;
  for (const char c : method) upper += ascii_upper(c);
  if (upper != method) return {"methods are told apart by case", "write \"" + upper + "\""};
  return {};
}

Complaint check_field_value(std::string_view text) {
  if (!http::is_field_value(text)) return {"a header field cannot have control characters"};
  return {};
}

Complaint check_target(std::string_view to) {
  if (to.empty()) return {"a target is missing", "write \"/new/{rest}\" or \"https://example.org{path}{query}\""};
  for (const char c : to) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return {"a target cannot have control characters", "leave them out"};
    if (byte == ' ' || byte >= 0x80)
      return {"a target has neither spaces nor letters beyond ASCII", "write them as %XX"};
  }
  for (auto open = to.find('{'); open != std::string_view::npos; open = to.find('{', open + 1)) {
    const auto name = to.substr(
        open, to.find('}', open) == std::string_view::npos ? std::string_view::npos : to.find('}', open) - open + 1);
    if (name != "{rest}" && name != "{path}" && name != "{host}" && name != "{query}")
      return {"there is no " + printable(name), "there are {rest}, {path}, {host} and {query}"};
  }
  if (!to.starts_with('/') && !to.starts_with("http://") && !to.starts_with("https://") && !to.starts_with("{path}"))
    return {"a target begins with /, http:// or https://", "write \"/" + printable(to) + "\""};
  return {};
}

// Fields that say how the message is framed are the server's alone (RFC 9112 section 6; request smuggling begins here).
bool is_framing(std::string_view name) {
  constexpr std::array<std::string_view, 9> kFraming = {
      "Connection", "Content-Length",    "Keep-Alive", "Proxy-Connection", "TE",
      "Trailer",    "Transfer-Encoding", "Upgrade",    "Content-Range"};
  return std::ranges::any_of(kFraming, [&](auto framing) { return equals_ignoring_case(framing, name); });
}

void read_headers(TableReader& reader, Route& route) {
  const Entry* headers = reader.take_table("headers", "table of name and value");
  if (!headers) return;
  Faults& faults = reader.context().faults;
  for (const auto& entry : headers->value.entries) {
    const auto name = "'" + printable(entry.key) + "' in headers of a [[route]]";
    if (!http::is_token(entry.key))
      faults.error(entry.at, name + " is not the name of a header field", "letters, digits and - make one");
    else if (is_framing(entry.key))
      faults.error(entry.at, name + " is the server's own: it says how the response is framed", "leave it out");
    else if (!entry.value.is(Node::Kind::string))
      faults.error(entry.value.at, name + " must be a string, but is " + std::string(kind_text(entry.value.kind)));
    else if (!http::is_field_value(entry.value.text))
      faults.error(entry.value.at, name + " has a control character in its value", "leave it out");
    else
      route.headers.emplace_back(entry.key, entry.value.text);
  }
}

void read_types(TableReader& reader, Files& files) {
  const Entry* types = reader.take_table("types", "table of suffix and media type");
  if (!types) return;
  Faults& faults = reader.context().faults;
  for (const auto& entry : types->value.entries) {
    const auto name = "'" + printable(entry.key) + "' in types of a [[route]]";
    const auto& text = entry.value.text;
    const auto slash = text.find('/');
    if (!entry.key.starts_with('.') || entry.key.size() < 2 || entry.key.find('/') != std::string::npos)
      faults.error(entry.at, name + " is not a suffix", "write \"." + printable(entry.key) + "\"");
    else if (!entry.value.is(Node::Kind::string) || slash == std::string::npos ||
             !http::is_token(text.substr(0, slash)) ||
             !http::is_token(trim(std::string_view(text).substr(slash + 1, text.find(';', slash) == std::string::npos
                                                                               ? std::string::npos
                                                                               : text.find(';', slash) - slash - 1))) ||
             !http::is_field_value(text))
      faults.error(entry.value.at, name + " must be a media type", "write \"application/wasm\"");
    else
      files.types.emplace_back(entry.key, text);
  }
}

void read_redirect(TableReader& reader, Route& route) {
  const Entry* entry = reader.take("redirect", "table of to and status");
  if (!entry) return;
  Context& context = reader.context();
  if (!entry->value.is(Node::Kind::table)) {
    const bool text = entry->value.is(Node::Kind::string);
    return reader.wrong_kind("redirect", entry->value, "a table",
                             text ? "write redirect = { to = " + quoted(entry->value.text) + ", status = 302 }"
                                  : "write redirect = { to = \"/new/{rest}\", status = 302 }");
  }
  TableReader table(entry->value, "redirect of a [[route]]", "redirect", context);
  table.text("to", route.redirect.to, check_target);
  table.number("status", route.redirect.status, {300, 399});
  table.finish();
  const Entry* to = entry->value.find("to");
  if (!to)
    context.faults.error(entry->value.at, "a redirect has no 'to'",
                         "write redirect = { to = \"/new/{rest}\", status = 302 }");
  constexpr std::array<int, 5> kStatuses = {301, 302, 303, 307, 308};
  if (std::ranges::find(kStatuses, route.redirect.status) == kStatuses.end())
    context.faults.error(entry->value.find("status")->value.at, "'status' in redirect of a [[route]] is " +
                                                                    std::to_string(route.redirect.status) +
                                                                    ", but must be 301, 302, 303, 307 or 308");
  if (to && !route.path.ends_with('*') && route.redirect.to == route.path)
    context.faults.error(to->value.at, "this route redirects " + printable(route.path) + " to itself",
                         "choose another target");
}

// `metrics` and `deny` are switches that can only be on.
void read_switch(TableReader& reader, std::string_view key) {
  bool on = false;
  reader.boolean(key, on);
  reader.has_no_default();
  const Entry* entry = reader.table().find(key);
  if (entry && entry->value.is(Node::Kind::boolean) && !on)
    reader.context().faults.error(entry->value.at, reader.name(key) + " can only be true", "leave the key out");
}

void read_files(TableReader& reader, Route& route) {
  Files& files = route.files;
  reader.path("files", files.root);
  reader.texts("index", files.index, check_index);
  reader.boolean("listing", files.listing);
  reader.boolean("dot_files", files.dot_files);
  reader.text("cache_control", files.cache_control, check_field_value);
  reader.boolean("precompressed", files.precompressed);
  read_symlinks(reader, files.symlinks);
  reader.number("max_ranges", files.max_ranges, {0, kMostRanges});
  read_types(reader, files);
}

// Exactly one action, and no key of another.
void settle_action(const Node& table, Route& route, Context& context) {
  std::vector<const Entry*> actions;
  for (const auto& entry : table.entries)
    if (std::ranges::find(kActions, entry.key) != kActions.end()) actions.push_back(&entry);
  if (actions.empty()) {
    context.faults.error(table.at, "this [[route]] does nothing", "add one of run, files, redirect, metrics, deny");
    return;
  }
  for (std::size_t i = 1; i < actions.size(); ++i)
    context.faults.error(
        actions[i]->at,
        "this [[route]] has both '" + actions[0]->key + "' and '" + actions[i]->key + "', but does one thing only",
        "remove one, or make two routes");
  route.action = static_cast<Action>(std::ranges::find(kActions, actions[0]->key) - kActions.begin());
  if (table.find("files")) return;
  for (const auto& entry : table.entries)
    if (std::ranges::find(kFilesKeys, entry.key) != kFilesKeys.end())
      context.faults.error(entry.at,
                           "'" + entry.key + "' goes with 'files', but this [[route]] has '" + actions[0]->key + "'",
                           "remove it");
}

static_assert(static_cast<std::size_t>(Action::run) == 0 &&
              static_cast<std::size_t>(Action::deny) == kActions.size() - 1);

}  // namespace

Route read_route(const Node& table, std::size_t number, Context& context, std::vector<KeyDescription>* describe) {
  Route route;
  route.position = context.faults.position(table.at);
  TableReader reader(table, "a [[route]]", "route[" + std::to_string(number) + "]", context);
  reader.texts("host", route.hosts, check_host_pattern);
  for (auto& host : route.hosts) {
    host = to_lower(host);
    if (host.ends_with('.')) host.pop_back();
  }
  reader.text("path", route.path, check_path_pattern);
  reader.texts("method", route.methods, check_method);
  for (const std::string_view key : {"host", "method"})
    if (const Entry* entry = table.find(key); entry && entry->value.is(Node::Kind::array) && entry->value.items.empty())
      context.faults.error(entry->value.at, reader.name(key) + " is empty: the route would never match",
                           "leave the key out to take all of them");
  reader.text("run", route.run);
  read_files(reader, route);
  read_redirect(reader, route);
  read_switch(reader, "metrics");
  read_switch(reader, "deny");
  read_headers(reader, route);
  if (const Entry* compress = reader.take("compress", "boolean")) {
    if (compress->value.is(Node::Kind::boolean))
      route.compress = compress->value.boolean;
    else
      reader.wrong_kind("compress", compress->value, "true or false");
  }
  if (table.find("body_limit")) {
    std::uint64_t limit = 0;
    reader.size("body_limit", limit);
    route.body_limit = limit;
  } else {
    reader.take("body_limit", "size");
  }
  reader.finish();
  if (describe)
    *describe = reader.keys();
  else
    settle_action(table, route, context);
  return route;
}

}  // namespace fivefold::config
