#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/text.h"
#include "control/status.h"

namespace fivefold::control {
namespace {

using nlohmann::json;

// Fields by name with a default: a status of another version of the server is shown as far as it goes.
std::uint64_t number(const json& object, const char* group, const char* name) {
  const auto found = object.find(group);
  return found != object.end() && found->is_object() ? found->value(name, std::uint64_t{0}) : 0;
}

std::string word(const json& object, const char* name) { return object.value(name, ""); }

std::string time_words(std::int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  tm parts{};
  ::localtime_r(&time, &parts);
  char text[40];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts));
}

std::string ago(std::int64_t then, std::int64_t now) {
  return duration_words(std::max<std::int64_t>(now - then, 0)) + " ago";
}

std::string plural(std::uint64_t count, const char* one, const char* many) {
  return grouped(count) + " " + (count == 1 ? one : many);
}

void add_row(std::string& out, std::string_view label, std::string_view text) {
  out += fmt::format("{:<15}{}\n", label, text);
}

std::string header_line(const json& status) {
  const auto user = word(status, "user");
  return fmt::format("Fivefold {}, up {}; server process {}{}, keeper {}, {}, {}\n", word(status, "version"),
                     duration_words(status.value("uptime", std::int64_t{0})), status.value("pid", 0),
                     user.empty() ? "" : " as " + user, status.value("keeper_pid", 0),
                     plural(status.value("threads", std::uint64_t{0}), "loop", "loops"),
                     size_words(status.value("memory", std::uint64_t{0})));
}

std::string request_words(const json& status) {
  return fmt::format("{} answered, {} in flight; 2xx {}, 3xx {}, 4xx {}, 5xx {}; {} malformed, {} timed out",
                     grouped(number(status, "requests", "total")), grouped(number(status, "requests", "active")),
                     grouped(number(status, "requests", "2xx")), grouped(number(status, "requests", "3xx")),
                     grouped(number(status, "requests", "4xx")), grouped(number(status, "requests", "5xx")),
                     grouped(number(status, "requests", "malformed")),
                     grouped(number(status, "requests", "timed_out")));
}

std::string connection_words(const json& status) {
  return fmt::format("{} open, {} of them idle; {} accepted; {} of {} descriptors",
                     grouped(number(status, "connections", "open")), grouped(number(status, "connections", "idle")),
                     grouped(number(status, "connections", "accepted")), grouped(number(status, "descriptors", "open")),
                     grouped(number(status, "descriptors", "limit")));
}

std::string programs_table(const json& status, const json& before, double seconds, std::int64_t now) {
  const auto programs = status.value("programs", json::array());
  if (programs.empty()) return {};
  std::size_t width = 7;
  for (const auto& program : programs) width = std::max(width, word(program, "name").size());
  std::string out =
      fmt::format("\n{:<{}}  {:<8} {:>10} {:>8} {:>8} {:>8} {:>10}{}\n", "PROGRAM", width, "MODEL", "REQUESTS",
                  "FAILED", "RUNNING", "WAITING", "MEMORY", before.is_null() ? "" : "      /S");
  for (const auto& program : programs) {
    const auto requests = program.value("requests", std::uint64_t{0});
    out += fmt::format("{:<{}}  {:<8} {:>10} {:>8} {:>8} {:>8} {:>10}", word(program, "name"), width,
                       word(program, "model"), grouped(requests), grouped(program.value("failures", std::uint64_t{0})),
                       grouped(program.value("running", std::uint64_t{0})),
                       grouped(program.value("waiting", std::uint64_t{0})),
                       size_words(program.value("memory", std::uint64_t{0})));
    if (!before.is_null()) {
      std::uint64_t earlier = requests;
      for (const auto& old : before.value("programs", json::array()))
        if (word(old, "name") == word(program, "name")) earlier = old.value("requests", std::uint64_t{0});
      out += fmt::format(" {:>7.0f}",
                         requests >= earlier && seconds > 0 ? static_cast<double>(requests - earlier) / seconds : 0.0);
    }
    out += '\n';
    for (const auto& process : program.value("processes", json::array())) {
      const auto id = word(process, "request_id");
      const auto state = word(process, "state");
      const auto reason = word(process, "reason");
      const auto pid = process.value("pid", 0);
      out += fmt::format("  {:<12} {:>9} s {:>9}  ",
                         pid != 0                                   ? fmt::format("pid {}", pid)
                         : state == "starting" || state == "failed" ? std::string("(no process)")
                                                                    : std::string("(not ours)"),
                         fmt::format("{:.1f}", static_cast<double>(process.value("age_ms", std::int64_t{0})) / 1000.0),
                         size_words(process.value("memory", std::uint64_t{0})));
      if (!state.empty())
        out +=
            fmt::format("{:<8} {:>9} answered, {} now  ", state, grouped(process.value("requests", std::uint64_t{0})),
                        process.value("active", std::uint64_t{0}));
      out += printable(word(process, "what"), 200);
      if (!id.empty()) out += "  request " + id;
      if (!reason.empty()) out += "  (" + printable(reason, 200) + ")";
      out += "\n";
    }
    if (const auto failure = word(program, "last_failure"); !failure.empty())
      out += fmt::format("  last failure {}: {}\n", ago(program.value("last_failure_at", std::int64_t{0}), now),
                         printable(failure, 500));
  }
  return out;
}

}  // namespace

std::string duration_words(std::int64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds % 86400 / 3600);
}

std::string size_words(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* next : {"kB", "MB", "GB", "TB"}) {
    if (value < 999.5) break;
    value /= 1000;
    unit = next;
  }
  return value < 9.95 ? fmt::format("{:.1f} {}", value, unit) : fmt::format("{:.0f} {}", value, unit);
}

std::string grouped(std::uint64_t number) {
  auto digits = std::to_string(number);
  for (std::size_t place = digits.size(); place > 3;) digits.insert(place -= 3, 1, ',');
  return digits;
}

std::string status_text(const json& status, std::int64_t now) {
  std::string out = header_line(status);
  add_row(out, "configuration",
          fmt::format("{}, {}, {}; in force since {}", word(status, "config"),
                      plural(status.value("routes", std::uint64_t{0}), "route", "routes"),
                      plural(status.value("programs", json::array()).size(), "program", "programs"),
                      time_words(status.value("configured_at", std::int64_t{0}))));
  const char* label = "listening on";
  for (const auto& listener : status.value("listeners", std::vector<std::string>{})) {
    add_row(out, label, listener);
    label = "";
  }
  add_row(out, "connections", connection_words(status));
  add_row(out, "requests", request_words(status));
  add_row(out, "traffic",
          fmt::format("{} received, {} sent", size_words(number(status, "bytes", "received")),
                      size_words(number(status, "bytes", "sent"))));
  if (const auto crashes = status.value("crashes", std::uint64_t{0}); crashes > 0)
    add_row(out, "crashes",
            fmt::format("{} of the server process, the last {}", grouped(crashes), word(status, "last_crash")));
  return out + programs_table(status, nullptr, 0, now);
}

std::string top_text(const json& status, const json& before, double seconds, std::int64_t now, std::size_t rows,
                     std::size_t columns) {
  std::string out = header_line(status);
  const auto rate = [&](const char* group, const char* name) {
    const auto new_value = number(status, group, name),
               old_value = before.is_null() ? new_value : number(before, group, name);
    return new_value >= old_value && seconds > 0 ? static_cast<double>(new_value - old_value) / seconds : 0.0;
  };
  const auto answered = rate("requests", "total");
  add_row(out, "requests/s",
          fmt::format("{:.0f}, {:.2f} ms each; 5xx/s {:.0f}, in flight {}", answered,
                      answered > 0 ? rate("requests", "duration_us") / answered / 1000 : 0.0, rate("requests", "5xx"),
                      grouped(number(status, "requests", "active"))));
  add_row(out, "traffic/s",
          fmt::format("{} in, {} out", size_words(static_cast<std::uint64_t>(rate("bytes", "received"))),
                      size_words(static_cast<std::uint64_t>(rate("bytes", "sent")))));
  add_row(out, "connections", connection_words(status));
  add_row(out, "requests", request_words(status));
  out += programs_table(status, before, seconds, now);
  if (rows == 0) return out;
  std::string cut;
  std::size_t begin = 0;
  for (std::size_t row = 0; row < rows && begin < out.size(); ++row) {
    const auto end = out.find('\n', begin);
    cut.append(out, begin, std::min(end - begin, columns));
    cut += '\n';
    begin = end + 1;
  }
  return cut;
}

}  // namespace fivefold::control
