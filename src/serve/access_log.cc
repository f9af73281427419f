#include "serve/access_log.h"

#include <ctime>
#include <iterator>

namespace fivefold::serve {
namespace {

void append_escaped(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

void append_json(std::string_view name, std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += ",\"";
  out += name;
  out += "\":\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  out += '"';
}

void append_or_dash(std::string_view text, std::string& out) {
  if (text.empty())
    out += '-';
  else
    append_escaped(text, out);
}

// "10/Oct/2000:13:55:36 +0000"; always UTC, and made once a second.
std::string_view log_time(std::int64_t unix_seconds) {
  static thread_local std::int64_t made_for = -1;
  static thread_local std::string text;
  if (made_for != unix_seconds) {
    constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t seconds = unix_seconds;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    text = fmt::format("{:02}/{}/{}:{:02}:{:02}:{:02} +0000", utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900,
                       utc.tm_hour, utc.tm_min, utc.tm_sec);
    made_for = unix_seconds;
  }
  return text;
}

std::string iso_time(std::int64_t unix_seconds) {
  const std::time_t seconds = unix_seconds;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                     utc.tm_min, utc.tm_sec);
}

}  // namespace

void append_access_line(const AccessEntry& entry, config::LogFormat format, std::string& out) {
  if (format == config::LogFormat::json) {
    fmt::format_to(std::back_inserter(out), "{{\"time\":\"{}\",\"status\":{},\"bytes\":{},\"duration_ms\":{:.3f}",
                   iso_time(entry.unix_seconds), entry.status, entry.bytes,
                   static_cast<double>(entry.duration.count()) / 1000.0);
    append_json("client", entry.client, out);
    if (!entry.user.empty()) append_json("user", entry.user, out);
    append_json("method", entry.method, out);
    append_json("target", entry.target, out);
    append_json("protocol", entry.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1", out);
    append_json("host", entry.host, out);
    append_json("referer", entry.referer, out);
    append_json("user_agent", entry.user_agent, out);
    append_json("request_id", entry.request_id, out);
    if (!entry.program.empty()) append_json("program", entry.program, out);
    if (entry.cut) out += ",\"cut\":true";
    out += '}';
    return;
  }
  append_or_dash(entry.client, out);
  out += " - ";
  append_or_dash(entry.user, out);
  out += " [";
  out += log_time(entry.unix_seconds);
  out += "] \"";
  if (entry.method.empty()) {
    out += '-';
  } else {
    append_escaped(entry.method, out);
    out += ' ';
    append_escaped(entry.target, out);
    out += entry.minor_version == 0 ? " HTTP/1.0" : " HTTP/1.1";
  }
  fmt::format_to(std::back_inserter(out), "\" {} {} \"", entry.status, entry.bytes);
  append_or_dash(entry.referer, out);
  out += "\" \"";
  append_or_dash(entry.user_agent, out);
  out += '"';
}

}  // namespace fivefold::serve
