#include "config/server_section.h"

#include <algorithm>

#include "base/text.h"
#include "config/listen_address.h"
#include "http/authority.h"
#include "http/headers.h"

namespace fivefold::config {
namespace {

constexpr std::uint32_t kMostThreads = 1024;
constexpr std::uint32_t kMostSpawners = 256;
constexpr std::uint64_t kLeastLogSize = 64 * 1024;
constexpr std::uint32_t kMostLogsKept = 1000;
constexpr std::uint64_t kMostHead = 16 * 1024 * 1024;

const Node& empty_table() {
  static const Node table;
  return table;
}

Complaint check_host(std::string_view text) {
  const auto authority = http::parse_authority(text);
  if (!authority) return {"not a host name"};
  if (authority->port || text.ends_with(':')) return {"a host name has no port", "leave out what follows the colon"};
  return {};
}

Complaint check_field_value(std::string_view text) {
  if (!http::is_field_value(text)) return {"a header field cannot have control characters"};
  return {};
}

Complaint check_account(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 64 && !text.starts_with('-') &&
                    text.find_first_of(": /\t\n") == std::string_view::npos;
  if (!good) return {"not a name of a user or group"};
  return {};
}

Complaint check_media_range(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || !http::is_token(text.substr(0, slash)) ||
      !http::is_token(text.substr(slash + 1)))
    return {"not a media type", "write \"application/json\", or \"text/*\" for all of a kind"};
  return {};
}

std::uint32_t read_mode(TableReader& reader, bool unix_socket) {
  constexpr std::uint32_t kUsual = 0666;
  const Entry* entry = reader.take("mode", "octal string", "\"0666\"");
  if (!entry) return kUsual;
  const Node& value = entry->value;
  std::optional<std::uint32_t> mode;
  if (value.is(Node::Kind::integer)) {
    // 0o660 and 660 look alike once read; only a string says which is meant.
    reader.wrong_kind("mode", value, "a string of octal digits", "write mode = \"0660\"");
    return kUsual;
  }
  if (value.is(Node::Kind::string) && !value.text.empty() && value.text.size() <= 4 &&
      value.text.find_first_not_of("01234567") == std::string::npos) {
    mode = 0;
    for (const char digit : value.text) mode = *mode * 8 + static_cast<std::uint32_t>(digit - '0');
  }
  if (!mode || *mode > 0777) {
    reader.context().faults.error(value.at,
                                  reader.name("mode") + " must be a string of octal digits from \"0000\" to \"0777\"",
                                  "write mode = \"0660\"");
    return kUsual;
  }
  if (!unix_socket)
    reader.context().faults.error(entry->at, reader.name("mode") + " is for unix sockets only", "leave it out");
  return *mode;
}

void add_listen(Server& server, Listen listen, Mark at, Context& context) {
  listen.position = context.faults.position(at);
  for (const auto& other : server.listen) {
    if (!same_socket(other, listen)) continue;
    context.faults.error(at,
                         "the server listens on " + quoted(listen.address) + " twice: line " +
                             std::to_string(other.position.line) + " has it already",
                         "remove one of the two");
    return;
  }
  server.listen.push_back(std::move(listen));
}

std::optional<Listen> read_address(const Node& value, std::string_view where, Context& context) {
  auto listen = parse_listen(value.text, context.directory);
  if (listen) return std::move(*listen);
  context.faults.error(value.at, std::string(where) + " has " + quoted(value.text) + ": " + listen.error().message,
                       listen.error().mend);
  return std::nullopt;
}

void read_listen_table(const Node& table, Server& server, Context& context, std::vector<SectionKeys>* describe) {
  TableReader reader(table, "[server] listen", "server.listen", context);
  const Entry* address = reader.take("address", "string");
  std::optional<Listen> listen;
  if (!describe && !address)
    context.faults.error(table.at, "an entry of 'listen' in [server] has no address",
                         "write { address = \"127.0.0.1:8080\" }");
  else if (address && !address->value.is(Node::Kind::string))
    reader.wrong_kind("address", address->value, "a string");
  else if (address)
    listen = read_address(address->value, reader.title(), context);
  Listen entry = listen.value_or(Listen{});
  reader.boolean("proxy_protocol", entry.proxy_protocol);
  entry.unix_mode = read_mode(reader, !listen || !entry.unix_path.empty());
  reader.number("backlog", entry.backlog, {1, 65535});
  reader.finish();
  if (listen) add_listen(server, std::move(entry), address->value.at, context);
  if (describe) describe->push_back({"[server] listen", reader.keys()});
}

void read_listen(TableReader& reader, Server& server) {
  Context& context = reader.context();
  const Entry* entry = reader.take("listen", "string or array of strings and tables", "[\"127.0.0.1:8080\"]");
  if (!entry) return;
  const auto read_one = [&](const Node& value) {
    if (value.is(Node::Kind::string)) {
      if (auto listen = read_address(value, reader.name("listen"), context))
        add_listen(server, std::move(*listen), value.at, context);
    } else if (value.is(Node::Kind::table)) {
      read_listen_table(value, server, context, nullptr);
    } else {
      std::string mend;
      if (value.is(Node::Kind::integer)) mend = "write \"127.0.0.1:" + std::to_string(value.integer) + "\"";
      reader.wrong_kind("listen", value, "a string such as \"127.0.0.1:8080\"", mend);
    }
  };
  if (!entry->value.is(Node::Kind::array)) return read_one(entry->value);
  if (entry->value.items.empty())
    context.faults.error(entry->value.at, reader.name("listen") + " is empty: the server would answer nobody",
                         "name an address, or leave the key out for 127.0.0.1:8080");
  for (const auto& item : entry->value.items) read_one(item);
}

void read_error_pages(TableReader& reader, Server& server) {
  const Entry* pages = reader.take_table("error_pages", "table of status and path");
  if (!pages) return;
  Context& context = reader.context();
  for (const auto& entry : pages->value.entries) {
    const auto status = parse_decimal(entry.key);
    if (!status || *status < 400 || *status > 599) {
      context.faults.error(entry.at,
                           "'" + printable(entry.key) + "' in [server.error_pages] is not the status of an error",
                           "write a number from 400 to 599, such as 404 = \"404.html\"");
    } else if (!entry.value.is(Node::Kind::string)) {
      context.faults.error(entry.value.at, "the page for " + entry.key +
                                               " in [server.error_pages] must be a string, but is " +
                                               std::string(kind_text(entry.value.kind)));
    } else if (auto complaint = check_path(entry.value.text); !complaint.message.empty()) {
      context.faults.error(entry.value.at,
                           "the page for " + entry.key + " in [server.error_pages]: " + complaint.message,
                           complaint.mend);
    } else {
      server.error_pages[static_cast<int>(*status)] = absolute_path(entry.value.text, context.directory);
      context.positions["server.error_pages." + std::to_string(*status)] = context.faults.position(entry.value.at);
    }
  }
}

void read_limits(TableReader& reader, HttpLimits& limits) {
  reader.size("request_line", limits.request_line, {64, kMostHead});
  reader.size("head", limits.head, {256, kMostHead});
  reader.number("fields", limits.fields, {1, 100000});
  reader.size("body", limits.body);
  reader.number("connections", limits.connections, {1, 10'000'000});
  reader.number("requests_per_connection", limits.requests_per_connection, {0, 1'000'000'000});
  if (limits.request_line > limits.head)
    reader.context().faults.error(reader.table().at,
                                  "'request_line' in [server.limits] is larger than 'head', which counts it too",
                                  "make head at least " + format_size(limits.request_line));
}

void read_timeouts(TableReader& reader, HttpTimeouts& timeouts) {
  reader.duration("head", timeouts.head);
  reader.duration("body", timeouts.body);
  reader.duration("idle", timeouts.idle);
  reader.duration("send", timeouts.send);
  reader.duration("linger", timeouts.linger, kNoTime);
  reader.duration("drain", timeouts.drain, kNoTime);
}

void read_compression(TableReader& reader, CompressionSettings& compression) {
  reader.boolean("enabled", compression.enabled);
  reader.size("min_size", compression.min_size);
  reader.texts("types", compression.types, check_media_range);
  reader.number("gzip_level", compression.gzip_level, {1, 9});
  reader.number("br_level", compression.br_level, {0, 11});
  reader.number("zstd_level", compression.zstd_level, {1, 19});
}

void read_open_file_cache(TableReader& reader, OpenFileCache& cache) {
  reader.number("entries", cache.entries, {0, 1'000'000});
  reader.size("content", cache.content);
  reader.size("memory", cache.memory);
  reader.duration("valid", cache.valid, kNoTime);
}

void read_log_rotation(TableReader& reader, const Node& table, Server& server, Context& context) {
  if (const Entry* given = table.find("log_max_size")) {
    std::uint64_t size = 0;
    reader.size("log_max_size", size);
    if (size != 0 && size < kLeastLogSize)
      context.faults.error(given->value.at,
                           "'log_max_size' in [server] is less than 64KB, which a busy log has at once",
                           "write a size such as \"100MB\", or 0 for no limit");
    server.log_max_size = size;
  } else {
    reader.take("log_max_size", "size");
  }
  reader.number("log_keep", server.log_keep, {1, kMostLogsKept});
}

template <class Settings>
void read_part(TableReader& parent, std::string_view key, Settings& settings, void (*read)(TableReader&, Settings&),
               std::vector<SectionKeys>* describe) {
  const Entry* entry = parent.take_table(key, "table", "see below");
  if (!entry && !describe) return;
  const std::string path = "server." + std::string(key);
  TableReader reader(entry ? entry->value : empty_table(), "[" + path + "]", path, parent.context());
  read(reader, settings);
  reader.finish();
  if (describe) describe->push_back({reader.title(), reader.keys()});
}

}  // namespace

void read_server(const Node& table, Server& server, Context& context, std::vector<SectionKeys>* describe) {
  TableReader reader(table, "[server]", "server", context);
  read_listen(reader, server);
  reader.number("threads", server.threads, {0, kMostThreads});
  reader.number("spawners", server.spawners, {0, kMostSpawners});
  reader.text("user", server.user, check_account);
  reader.text("group", server.group, check_account);
  reader.path("access_log", server.access_log, {"-", "off"});
  reader.choice("access_format", server.access_format, {{"combined", LogFormat::combined}, {"json", LogFormat::json}});
  reader.path("log", server.log, {"-"});
  if (const Entry* log = table.find("log"); log && log->value.text == "off")
    context.faults.error(log->value.at, "'log' in [server] cannot be off: it is where failures are told",
                         "write log_level = \"error\" for a quiet one, or a path such as \"./off\"");
  reader.choice("log_level", server.log_level,
                Choices<std::string>{{"debug", "debug"}, {"info", "info"}, {"warning", "warning"}, {"error", "error"}});
  reader.path("program_logs", server.program_logs);
  read_log_rotation(reader, table, server, context);
  reader.path("control", server.control);
  reader.texts("trusted", server.trusted, check_address_range);
  reader.text("server_name", server.server_name, check_host);
  reader.text("server_header", server.server_header, check_field_value);
  reader.choice("error_detail", server.error_detail, {{"id", ErrorDetail::id}, {"page", ErrorDetail::page}});
  reader.size("min_rate", server.min_rate);
  reader.duration("min_rate_grace", server.min_rate_grace, kNoTime);
  read_error_pages(reader, server);
  std::vector<SectionKeys> parts;
  std::vector<SectionKeys>* const into = describe ? &parts : nullptr;
  if (describe) read_listen_table(empty_table(), server, context, into);
  read_part(reader, "limits", server.limits, read_limits, into);
  read_part(reader, "timeouts", server.timeouts, read_timeouts, into);
  read_part(reader, "compression", server.compression, read_compression, into);
  read_part(reader, "open_file_cache", server.open_file_cache, read_open_file_cache, into);
  reader.finish();
  if (server.control.size() > kLongestUnixPath)
    context.faults.error(table.find("control")->value.at,
                         "'control' in [server] is longer than the 107 bytes a socket's path can have",
                         "choose a shorter path, such as \"/run/fivefold/control.sock\"");
  if (describe) {
    describe->push_back({reader.title(), reader.keys()});
    describe->insert(describe->end(), parts.begin(), parts.end());
  }
}

}  // namespace fivefold::config
