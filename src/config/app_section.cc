#include "config/app_section.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "config/app_command.h"
#include "config/file_name_checks.h"
#include "config/instances_section.h"
#include "config/upstream_address.h"
#include "http/authority.h"
#include "http/headers.h"

namespace fivefold::config {
namespace {

constexpr std::uint32_t kMostRequests = 1'000'000;  // at once, of an instance
constexpr std::uint32_t kMostFailures = 1000;
constexpr std::uint32_t kMostRetries = 10;
constexpr std::uint64_t kMostHead = 16 * 1024 * 1024;
constexpr std::uint64_t kMostBodyMemory = 1ull << 30;
constexpr std::uint64_t kLeastMemory = 1024 * 1024;  // of an instance: below it a number was meant in another unit
constexpr milliseconds kLeastAge = 1s;
constexpr milliseconds kLongestGrace = 1h;
constexpr std::size_t kMostWords = 1000;
constexpr std::size_t kMostAddresses = 256;
constexpr std::size_t kLongestCookieName = 64;

const Node& empty_table() {
  static const Node table;
  return table;
}

Complaint check_cookie(std::string_view name) {
  if (!http::is_token(name) || name.size() > kLongestCookieName)
    return {"not the name of a cookie", "letters, digits, - and _ make one, at most 64: write \"instance\""};
  return {};
}

struct ForwardName {
  std::string_view name;
  Forward bit;
};
constexpr std::array<ForwardName, 5> kForwardNames{{{"x-forwarded", kForwardX},
                                                    {"forwarded", kForwardStandard},
                                                    {"x-real-ip", kForwardRealIp},
                                                    {"x-request-id", kForwardId},
                                                    {"traceparent", kForwardTrace}}};

Complaint check_forward(std::string_view word) {
  for (const auto& known : kForwardNames)
    if (known.name == word) return {};
  return {"not one of the fields that are added",
          "\"x-forwarded\", \"forwarded\", \"x-real-ip\", \"x-request-id\" and \"traceparent\" are"};
}

void read_forward(TableReader& reader, App& app) {
  std::vector<std::string> words;
  for (const auto& known : kForwardNames) words.emplace_back(known.name);
  reader.texts("forward", words, check_forward);
  app.forward = 0;
  for (const auto& word : words)
    for (const auto& known : kForwardNames)
      if (known.name == word) app.forward |= known.bit;
}

Complaint check_host(std::string_view host) {
  if (!http::parse_authority(host)) return {"not a host", "write \"app.internal\" or \"app.internal:8000\""};
  return {};
}

// Sent as it stands in a request line.
Complaint check_health_path(std::string_view path) {
  if (!path.starts_with('/')) return {"a path begins with /", "write \"/" + printable(path) + "\""};
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '#')
      return {"a path has neither spaces, # nor letters beyond ASCII", "write them as %XX"};
  }
  return {};
}

Complaint check_tls_name(std::string_view name) {
  const auto authority = http::parse_authority(name);
  if (!authority || authority->port) return {"not the name of a host", "write it without a port, as \"app.internal\""};
  return {};
}

// The words of a text that no shell would take apart in another way; nothing when one would.
std::vector<std::string> plain_words(std::string_view text) {
  if (text.find_first_of("\"'\\$`&|;<>()*?#~{}[]=!\n") != std::string_view::npos) return {};
  std::vector<std::string> words;
  while (!(text = trim(text)).empty()) {
    const auto word = text.substr(0, text.find_first_of(" \t"));
    words.emplace_back(word);
    text.remove_prefix(word.size());
  }
  return words;
}

std::string array_of(const std::vector<std::string>& words) {
  std::string list = "[";
  for (const auto& word : words) list += (list.size() > 1 ? ", \"" : "\"") + printable(word) + "\"";
  return list + "]";
}

std::string words_mend(std::string_view text) {
  const auto words = plain_words(text);
  if (!words.empty()) return "write command = " + array_of(words);
  return "write an array of words, or command = [\"/bin/sh\", \"-c\", '...'] for what a shell shall read";
}

// In a text for a shell braces have meanings of their own.
void check_placeholders(TableReader& reader, const Node& word, bool for_shell) {
  const std::vector<std::string_view> known = {"socket", "port", "host", "root"};
  for (const auto name : unknown_placeholders(word.text)) {
    const auto shown = "{" + std::string(name) + "}";
    const auto meant = nearest(name, known);
    if (!meant.empty() && !for_shell)
      reader.context().faults.error(word.at, reader.name("command") + " has " + shown + ", which nothing fills in",
                                    "did you mean {" + std::string(meant) + "}?");
    else
      reader.context().faults.warning(word.at, reader.name("command") + " has " + shown + ", which stays as it is",
                                      "there are {socket}, {port}, {host} and {root}");
  }
}

void read_command(TableReader& reader, std::vector<std::string>& command) {
  const Entry* entry = reader.take("command", "array of strings");
  if (!entry) return;
  Faults& faults = reader.context().faults;
  const Node& value = entry->value;
  if (value.is(Node::Kind::string)) {
    faults.error(value.at, reader.name("command") + " must be an array of words: no shell takes a text apart",
                 words_mend(value.text));
    return;
  }
  if (!value.is(Node::Kind::array))
    return reader.wrong_kind("command", value, "an array of words", "write command = [\"node\", \"server.js\"]");
  if (value.items.empty() || value.items.size() > kMostWords) {
    faults.error(value.at, reader.name("command") + (value.items.empty() ? " is empty" : " has more than 1000 words"),
                 "write command = [\"node\", \"server.js\"]");
    return;
  }
  for (const auto& item : value.items) {
    if (!item.is(Node::Kind::string)) {
      const auto number = item.is(Node::Kind::integer) ? "write \"" + std::to_string(item.integer) + "\"" : "";
      faults.error(item.at,
                   reader.name("command") + " must have strings only, but has " + std::string(kind_text(item.kind)),
                   number);
      continue;
    }
    command.push_back(item.text);
  }
  for (const auto& item : value.items)
    if (item.is(Node::Kind::string)) check_placeholders(reader, item, is_shell_command(command));
  const auto& first = value.items.front();
  if (!first.is(Node::Kind::string)) return;
  if (first.text.empty())
    faults.error(first.at, reader.name("command") + " begins with an empty word", "name the program to start");
  else if (value.items.size() == 1 && plain_words(first.text).size() > 1)
    faults.error(first.at, reader.name("command") + " is one word with a space in it: no shell takes it apart",
                 words_mend(first.text));
}

void read_addresses(TableReader& reader, App& app) {
  std::vector<std::string> texts;
  reader.texts("address", texts);
  const Entry* entry = reader.table().find("address");
  if (!entry) return;
  Context& context = reader.context();
  const bool one = entry->value.is(Node::Kind::string);
  if (entry->value.is(Node::Kind::array) && (entry->value.items.empty() || entry->value.items.size() > kMostAddresses))
    return context.faults.error(entry->value.at,
                                reader.name("address") + (texts.empty() ? " is empty" : " has more than 256 addresses"),
                                "write address = \"127.0.0.1:9000\"");
  std::vector<UpstreamAddress> seen;
  for (std::size_t i = 0; i < (one ? 1 : entry->value.items.size()); ++i) {
    const Node& value = one ? entry->value : entry->value.items[i];
    if (!value.is(Node::Kind::string)) continue;
    auto address = parse_upstream(value.text, context.directory);
    if (!address) {
      context.faults.error(value.at,
                           reader.name("address") + " is " + quoted(value.text) + ": " + address.error().message,
                           std::move(address.error().mend));
      continue;
    }
    if (std::ranges::any_of(seen, [&](const auto& other) { return other.same_place(*address); }))
      context.faults.error(value.at, reader.name("address") + " has " + quoted(value.text) + " twice", "remove one");
    app.address.push_back(address->text);
    seen.push_back(std::move(*address));
  }
}

// A script is beneath the root, however it is written.
void read_script(TableReader& reader, App& app) {
  reader.text("script", app.script);
  const Entry* entry = reader.table().find("script");
  if (!entry || !entry->value.is(Node::Kind::string)) return;
  std::string_view script = app.script;
  if (!app.root.empty() && script.starts_with(app.root + "/")) script.remove_prefix(app.root.size() + 1);
  while (script.starts_with("./")) script.remove_prefix(2);
  const bool outside = script.empty() || script.starts_with('/') || script.ends_with('/') || script == ".." ||
                       script.starts_with("../") || script.ends_with("/..") ||
                       script.find("/../") != std::string_view::npos;
  if (outside)
    reader.context().faults.error(
        entry->value.at,
        reader.name("script") + " is " + quoted(entry->value.text) + ", which is no file beneath the root",
        "write its path from there, such as \"index.php\"");
  app.script = app.root + "/" + std::string(script);
}

void read_health(TableReader& parent, App& app, std::vector<SectionKeys>* describe) {
  const Entry* entry = parent.take("health", "table", "see below");
  if (!entry && !describe) return;
  if (entry && !entry->value.is(Node::Kind::table))
    return parent.wrong_kind(
        "health", entry->value, "a table",
        "write health = { path = " +
            (entry->value.is(Node::Kind::string) ? quoted(entry->value.text) : std::string("\"/health\"")) + " }");
  TableReader reader(entry ? entry->value : empty_table(), "health of " + parent.title(),
                     parent.table_path() + ".health", parent.context());
  reader.text("path", app.health_path, check_health_path);
  reader.duration("interval", app.health_interval);
  reader.duration("timeout", app.health_timeout);
  reader.number("failures", app.health_failures, {1, kMostFailures});
  reader.finish();
  if (entry && !reader.table().find("path"))
    parent.context().faults.error(entry->value.at, "health of " + parent.title() + " has no 'path'",
                                  "write health = { path = \"/health\" }");
  if (describe) describe->push_back({"health of [program.NAME]", reader.keys()});
}

void read_tls(TableReader& parent, App& app, std::vector<SectionKeys>* describe) {
  const Entry* entry = parent.take_table("tls", "table", "see below");
  if (!entry && !describe) return;
  TableReader reader(entry ? entry->value : empty_table(), "tls of " + parent.title(), parent.table_path() + ".tls",
                     parent.context());
  reader.path("ca", app.tls_ca);
  reader.text("name", app.tls_name, check_tls_name);
  reader.path("certificate", app.tls_certificate);
  reader.path("key", app.tls_key);
  reader.boolean("verify", app.tls_verify);
  reader.finish();
  const Entry* certificate = reader.table().find("certificate");
  const Entry* key = reader.table().find("key");
  if ((certificate != nullptr) != (key != nullptr))
    parent.context().faults.error((certificate ? certificate : key)->at,
                                  "tls of " + parent.title() + " has 'certificate' and 'key' only together",
                                  certificate ? "add its key" : "add its certificate");
  if (describe) describe->push_back({"tls of [program.NAME]", reader.keys()});
}

// A command with a slash is taken from where it is started, as a shell there would.
void settle_command(App& app, const std::string& working_directory) {
  if (app.command.empty()) return;
  auto& program = app.command.front();
  if (program.find('/') == std::string::npos || program.starts_with('/') || program.starts_with('{')) return;
  program = absolute_path(program, working_directory.empty() ? app.root : working_directory);
}

}  // namespace

void read_app(TableReader& reader, const std::string& working_directory, App& app, std::vector<SectionKeys>* describe) {
  const Node& table = reader.table();
  reader.path("root", app.root);
  read_command(reader, app.command);
  const bool started = !table.find("address");
  if (app.root.empty() && started && !describe) app.root = reader.context().directory;
  settle_command(app, working_directory);
  reader.texts("servlet", app.servlet, check_path);
  for (auto& archive : app.servlet) archive = absolute_path(archive, app.root);
  read_addresses(reader, app);
  app.kind = !app.servlet.empty()       ? AppKind::servlet
             : !app.address.empty()     ? AppKind::address
             : starts_node(app.command) ? AppKind::node
                                        : AppKind::command;
  reader.choice("protocol", app.protocol,
                {{"http", Protocol::http},
                 {"h2c", Protocol::h2c},
                 {"fastcgi", Protocol::fastcgi},
                 {"scgi", Protocol::scgi},
                 {"uwsgi", Protocol::uwsgi}});
  read_script(reader, app);
  reader.texts("extensions", app.extensions, check_extension);
  reader.texts("index", app.index, check_index);
  reader.boolean("socket_activation", app.socket_activation);
  reader.choice("ready", app.ready, {{"listening", Ready::listening}, {"notify", Ready::notify}});
  reader.duration("start_timeout", app.start_timeout);
  reader.number("start_retries", app.start_retries, {1, kMostFailures});
  read_instances(reader, app.min_instances, app.max_instances, app.instance_idle_timeout, describe);
  reader.number("concurrency", app.concurrency, {0, kMostRequests});
  reader.duration("connect_timeout", app.connect_timeout);
  reader.duration("first_byte_timeout", app.first_byte_timeout);
  reader.duration("idle_timeout", app.idle_timeout);
  reader.duration("send_timeout", app.send_timeout);
  reader.duration("tunnel_timeout", app.tunnel_timeout);
  reader.duration("keep_alive", app.keep_alive, kNoTime);
  reader.duration("drain", app.drain, kNoTime);
  reader.duration("stop_grace", app.stop_grace, kNoTime);
  if (app.stop_grace > kLongestGrace)
    reader.context().faults.error(table.find("stop_grace")->value.at, reader.name("stop_grace") + " is over an hour",
                                  "write \"1h\" or less");
  reader.duration("max_age", app.max_age, kNoTime);
  if (app.max_age != kNoTime && app.max_age < kLeastAge)
    reader.context().faults.error(table.find("max_age")->value.at,
                                  reader.name("max_age") + " is less than a second: no instance would serve",
                                  "write \"12h\", or \"0s\" for never");
  reader.size("max_memory", app.max_memory);
  if (app.max_memory != 0 && app.max_memory < kLeastMemory)
    reader.context().faults.error(table.find("max_memory")->value.at,
                                  reader.name("max_memory") + " is less than 1MB: no instance would live",
                                  "write the unit, as in \"512MB\"");
  read_health(reader, app, describe);
  reader.number("eject_failures", app.eject_failures, {0, kMostFailures});
  reader.text("sticky", app.sticky, check_cookie);
  reader.choice("on_timeout", app.on_timeout, {{"keep", OnTimeout::keep}, {"replace", OnTimeout::replace}});
  bool buffering = app.request_buffering != RequestBuffering::off;
  reader.boolean("request_buffering", buffering);
  app.request_buffering = buffering ? RequestBuffering::memory_then_disk : RequestBuffering::off;
  reader.size("body_memory", app.body_memory, {0, kMostBodyMemory});
  reader.size("output_head", app.output_head, {64, kMostHead});
  reader.number("retries", app.retries, {0, kMostRetries});
  reader.boolean("private_tmp", app.private_tmp);
  reader.boolean("pass_authorization", app.pass_authorization);
  reader.boolean("strip_prefix", app.strip_prefix);
  read_forward(reader, app);
  reader.text("host", app.host, check_host);
  reader.path("xsendfile_root", app.xsendfile_root);
  read_tls(reader, app, describe);
}

const std::vector<std::string_view>& app_keys() {
  static const std::vector<std::string_view> keys = {"root",
                                                     "command",
                                                     "servlet",
                                                     "address",
                                                     "protocol",
                                                     "script",
                                                     "extensions",
                                                     "index",
                                                     "socket_activation",
                                                     "ready",
                                                     "start_timeout",
                                                     "start_retries",
                                                     "instances",
                                                     "concurrency",
                                                     "connect_timeout",
                                                     "first_byte_timeout",
                                                     "idle_timeout",
                                                     "send_timeout",
                                                     "tunnel_timeout",
                                                     "keep_alive",
                                                     "drain",
                                                     "stop_grace",
                                                     "max_age",
                                                     "max_memory",
                                                     "health",
                                                     "eject_failures",
                                                     "sticky",
                                                     "on_timeout",
                                                     "request_buffering",
                                                     "body_memory",
                                                     "output_head",
                                                     "retries",
                                                     "private_tmp",
                                                     "pass_authorization",
                                                     "strip_prefix",
                                                     "forward",
                                                     "host",
                                                     "xsendfile_root",
                                                     "tls"};
  return keys;
}

bool is_given_variable(std::string_view name) {
  return name == "PORT" || name.starts_with("FIVEFOLD_") || name == "NOTIFY_SOCKET" || name == "LISTEN_FDS" ||
         name == "LISTEN_PID" || name == "LISTEN_FDNAMES";
}

}  // namespace fivefold::config
