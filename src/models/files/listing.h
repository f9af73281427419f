#pragma once
// The page that shows what is in a folder.
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "config/config.h"

namespace fivefold::models::files {

struct ListingEntry {
  std::string name;  // any bytes but '/' and NUL
  bool folder = false;
  std::uint64_t size = 0;
  std::int64_t modified = 0;  // unix seconds
};

struct Listing {
  std::vector<ListingEntry> entries;  // folders first, each in natural order
  bool cut = false;                   // there are more than kListingEntries
};

// Larger folders are shown in part, and say so: a page of a million rows helps nobody and costs everybody.
inline constexpr std::size_t kListingEntries = 200'000;

// Reads an open folder, whose path is `path` below `root`: regular files and folders that the server would send. Waits
// for the disk.
std::expected<Listing, int> read_listing(UniqueFd folder, const config::Files& files, const PathWalk& walk, int root,
                                         const std::string& path);

// Orders "file2" before "file10": runs of digits by their value, all else by bytes.
bool natural_less(std::string_view a, std::string_view b);

// Valid UTF-8 that shows a name of any bytes: what is not, and what would disturb the line (controls, changes of the
// writing direction), becomes U+FFFD.
std::string shown_name(std::string_view name);

std::string listing_html(const Listing& listing, std::string_view path, bool has_parent);
// {"path", "complete", "entries": [{"name", "href", "type", "size", "modified"}]}; `href` is exact where `name` cannot
// be.
std::string listing_json(const Listing& listing, std::string_view path);

}  // namespace fivefold::models::files
