#include "models/files/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <iterator>
#include <memory>

#include "base/text.h"

namespace fivefold::models::files {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

constexpr std::string_view kStyle =
    "<style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem "
    "auto;padding:0 1rem}"
    "h1{font-size:1.2rem;overflow-wrap:anywhere}table{width:100%;border-collapse:collapse}th{text-align:left;font-"
    "weight:600}"
    "th,td{padding:.3rem .5rem;border-bottom:1px solid "
    "#8883}td+td,th+th{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    "a{text-decoration:none;overflow-wrap:anywhere;unicode-bidi:isolate}a:hover{text-decoration:underline}tr:hover{"
    "background:#8881}</style>";

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// The length of the well-formed UTF-8 sequence at the front of `text` and its code point; 0 when there is none.
struct Decoded {
  std::size_t length = 0;
  char32_t point = 0;
};
Decoded decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {1, first};
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return {};
  char32_t point = first & (0xFF >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    point = point << 6 | (byte(i) & 0x3F);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (point < kSmallest[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return {};
  return {length, point};
}

bool disturbs(char32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x2028 || point == 0x2029 ||
         (point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069) || point == 0x200E ||
         point == 0x200F || point == 0xFEFF;
}

std::string human_size(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return value < 10 ? fmt::format("{:.1f} {}", value, kUnits[unit]) : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

void append_date(std::string& out, std::int64_t seconds, bool iso) {
  const std::time_t time = seconds;
  std::tm utc{};
  if (!::gmtime_r(&time, &utc)) return;
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}{}{:02}:{:02}", utc.tm_year + 1900, utc.tm_mon + 1,
                 utc.tm_mday, iso ? 'T' : ' ', utc.tm_hour, utc.tm_min);
  if (iso) fmt::format_to(std::back_inserter(out), ":{:02}Z", utc.tm_sec);
}

// `text` is valid UTF-8 without controls (shown_name).
void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

}  // namespace

std::string shown_name(std::string_view name) {
  std::string shown;
  shown.reserve(name.size());
  while (!name.empty()) {
    const auto [length, point] = decode_utf8(name);
    if (length == 0 || disturbs(point)) {
      shown += kReplacement;
    } else {
      shown += name.substr(0, length);
    }
    name.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return shown;
}

bool natural_less(std::string_view a, std::string_view b) {
  const std::string_view whole_a = a, whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a[0]) && is_digit(b[0])) {
      const auto run_of = [](std::string_view text) {
        std::size_t zeros = 0, end = 0;
        while (zeros < text.size() && text[zeros] == '0') ++zeros;
        for (end = zeros; end < text.size() && is_digit(text[end]);) ++end;
        return std::pair(text.substr(zeros, end - zeros), end);
      };
      const auto [value_a, end_a] = run_of(a);
      const auto [value_b, end_b] = run_of(b);
      if (value_a.size() != value_b.size()) return value_a.size() < value_b.size();
      if (value_a != value_b) return value_a < value_b;
      a.remove_prefix(end_a);
      b.remove_prefix(end_b);
      continue;
    }
    if (a[0] != b[0]) return static_cast<unsigned char>(a[0]) < static_cast<unsigned char>(b[0]);
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  if (a.empty() != b.empty()) return a.empty();
  return whole_a < whole_b;  // "1" and "01"
}

std::expected<Listing, int> read_listing(UniqueFd folder, const config::Files& files, const PathWalk& walk, int root,
                                         const std::string& path) {
  const std::unique_ptr<DIR, CloseFolder> open_folder(::fdopendir(folder.get()));
  if (!open_folder) return std::unexpected(errno);
  const int fd = folder.release();
  Listing listing;
  while (true) {
    errno = 0;
    const dirent* found = ::readdir(open_folder.get());
    if (!found) {
      if (errno != 0) return std::unexpected(errno);
      break;
    }
    const std::string_view name = found->d_name;
    if (name == "." || name == ".." || (name.starts_with('.') && !files.dot_files)) continue;
    struct stat status{};
    if (::fstatat(fd, found->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
    if (S_ISLNK(status.st_mode)) {
      const auto target = walk.open(root, path + "/" + found->d_name, O_PATH);
      if (!target || ::fstat(target->get(), &status) != 0) continue;  // dangling, or not followed
    }
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) continue;
    if (listing.entries.size() == kListingEntries) {
      listing.cut = true;
      break;
    }
    listing.entries.push_back({.name = std::string(name),
                               .folder = S_ISDIR(status.st_mode),
                               .size = S_ISDIR(status.st_mode) ? 0 : static_cast<std::uint64_t>(status.st_size),
                               .modified = status.st_mtim.tv_sec});
  }
  std::ranges::sort(listing.entries, [](const ListingEntry& a, const ListingEntry& b) {
    return a.folder != b.folder ? a.folder : natural_less(a.name, b.name);
  });
  return listing;
}

std::string listing_html(const Listing& listing, std::string_view path, bool has_parent) {
  const std::string title = html_escape(shown_name(path));
  std::string page;
  page.reserve(2048 + listing.entries.size() * 160);
  fmt::format_to(std::back_inserter(page),
                 "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                 "content=\"width=device-width\">"
                 "<title>{0}</title>{1}</head>\n<body><h1>{0}</h1>\n<table><thead><tr><th>Name</th><th>Size</"
                 "th><th>Modified (UTC)</th></tr></thead><tbody>\n",
                 title, kStyle);
  if (has_parent) page += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";
  for (const ListingEntry& entry : listing.entries) {
    const std::string_view slash = entry.folder ? "/" : "";
    // "./" keeps a name from being read as anything but a path.
    fmt::format_to(std::back_inserter(page), "<tr><td><a href=\"./{}{}\">{}{}</a></td>",
                   percent_encode_path(entry.name), slash, html_escape(shown_name(entry.name)), slash);
    if (entry.folder) {
      page += "<td>\xE2\x80\x93</td><td>";
    } else {
      fmt::format_to(std::back_inserter(page), "<td title=\"{} bytes\">{}</td><td>", entry.size,
                     human_size(entry.size));
    }
    append_date(page, entry.modified, false);
    page += "</td></tr>\n";
  }
  page += "</tbody></table>\n";
  if (listing.entries.empty()) page += "<p>This folder is empty.</p>\n";
  if (listing.cut)
    fmt::format_to(std::back_inserter(page), "<p>There are more: only {} are shown.</p>\n", kListingEntries);
  page += "</body></html>\n";
  return page;
}

std::string listing_json(const Listing& listing, std::string_view path) {
  std::string json = "{\"path\":";
  json.reserve(256 + listing.entries.size() * 140);
  append_json_string(json, shown_name(path));
  json += listing.cut ? ",\"complete\":false,\"entries\":[" : ",\"complete\":true,\"entries\":[";
  bool first = true;
  for (const ListingEntry& entry : listing.entries) {
    json += first ? "\n{\"name\":" : ",\n{\"name\":";
    first = false;
    append_json_string(json, shown_name(entry.name));
    json += ",\"href\":\"" + percent_encode_path(entry.name) +
            (entry.folder ? "/\",\"type\":\"folder\"" : "\",\"type\":\"file\"");
    if (!entry.folder) fmt::format_to(std::back_inserter(json), ",\"size\":{}", entry.size);
    json += ",\"modified\":\"";
    append_date(json, entry.modified, true);
    json += "\"}";
  }
  json += "\n]}\n";
  return json;
}

}  // namespace fivefold::models::files
