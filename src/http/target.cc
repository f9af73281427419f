#include "http/target.h"

#include <array>

#include "base/text.h"
#include "http/octets.h"

namespace fivefold::http {
namespace {

// Bytes that stand for themselves anywhere in a path; '/' needs a look at what follows it.
constexpr std::array<bool, 256> kPlainOctets = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = 0x21; c < 0x7f; ++c) table[c] = c != '%' && c != '/';
  return table;
}();

bool is_normal(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (kPlainOctets[static_cast<unsigned char>(path[i])]) continue;
    if (path[i] != '/') return false;
    if (i + 1 < path.size() && (path[i + 1] == '/' || path[i + 1] == '.')) return false;
  }
  return true;
}

[[gnu::cold]] std::unexpected<Error> refuse(Code code, std::string_view raw_path, std::string_view why) {
  return fail(code, "The path " + printable(raw_path) + " " + std::string(why));
}

// `path` ends in a whole segment that began at `segment`, right after a '/'. Drops "." and takes ".." back with the
// segment before it. False when there is none before it.
bool close_segment(std::string& path, std::size_t segment) {
  const auto last = std::string_view(path).substr(segment);
  if (last == ".") {
    path.resize(segment);
  } else if (last == "..") {
    if (segment == 1) return false;
    path.resize(path.rfind('/', segment - 2) + 1);
  }
  return true;
}

}  // namespace

Result<void> normalize_path(std::string_view raw_path, std::string& path) {
  path.clear();
  if (!raw_path.starts_with('/')) return refuse(Code::bad_request, raw_path, "does not begin with '/'; write it so.");
  if (is_normal(raw_path)) {
    path.assign(raw_path);
    return {};
  }
  path.reserve(raw_path.size());
  path = '/';
  std::size_t segment = 1;
  for (std::size_t i = 1; i < raw_path.size(); ++i) {
    char c = raw_path[i];
    if (c == '/') {
      if (!close_segment(path, segment))
        return refuse(Code::bad_request, raw_path, "climbs above the root; take out a \"..\".");
      if (path.back() != '/') path += '/';
      segment = path.size();
      continue;
    }
    if (c == '%') {
      const int high = i + 2 < raw_path.size() ? hex_digit(raw_path[i + 1]) : -1;
      const int low = i + 2 < raw_path.size() ? hex_digit(raw_path[i + 2]) : -1;
      if (high < 0 || low < 0)
        return refuse(Code::bad_request, raw_path, "has a '%' without two hex digits; write it as %25.");
      c = static_cast<char>(high * 16 + low);
      i += 2;
      if (c == '/')
        return refuse(Code::not_found, raw_path,
                      "has an encoded slash, which is part of no name here; write it as '/'.");
      // CVE-2020-1927: a decoded line end must not travel on into a field or a variable; no name here has any control.
      if (is_control(c)) return refuse(Code::bad_request, raw_path, "has an encoded control; leave it out.");
    } else if (!kPlainOctets[static_cast<unsigned char>(c)]) {
      return refuse(Code::bad_request, raw_path, "has a raw space, control or 8-bit byte; percent-encode it.");
    }
    path += c;
  }
  if (!close_segment(path, segment))
    return refuse(Code::bad_request, raw_path, "climbs above the root; take out a \"..\".");
  return {};
}

bool has_dot_segment(std::string_view raw_path) {
  for (std::size_t slash = raw_path.find('/'); slash != std::string_view::npos; slash = raw_path.find('/', slash + 1)) {
    auto segment = raw_path.substr(slash + 1, raw_path.find('/', slash + 1) - slash - 1);
    std::size_t dots = 0;
    while (!segment.empty()) {
      if (segment.front() == '.') {
        segment.remove_prefix(1);
      } else if (segment.size() >= 3 && segment[0] == '%' && segment[1] == '2' && (segment[2] | 0x20) == 'e') {
        segment.remove_prefix(3);
      } else {
        dots = 0;
        break;
      }
      ++dots;
    }
    if (segment.empty() && (dots == 1 || dots == 2)) return true;
  }
  return false;
}

Result<void> read_encoded_slashes(std::string_view raw_path, std::string& as_name, std::string& as_separator) {
  std::string names, separators;
  for (std::size_t i = 0; i < raw_path.size(); ++i) {
    const auto three = raw_path.substr(i, 3);
    if (three == "%2F" || three == "%2f") {
      names += "%252F";
      separators += '/';
      i += 2;
    } else {
      names += raw_path[i];
      separators += raw_path[i];
    }
  }
  if (has_dot_segment(separators))
    return refuse(Code::not_found, raw_path, "has encoded slashes beside \".\" or \"..\"; leave the dots out.");
  if (auto normal = normalize_path(names, as_name); !normal) return normal;
  return normalize_path(separators, as_separator);
}

}  // namespace fivefold::http
