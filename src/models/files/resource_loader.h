#pragma once
// Reads a path under a folder from the disk into a Resource. No loop, no coroutines: it runs on an event loop when the
// kernel has everything in memory, and on a thread that may wait when it has not.
#include <cstdint>
#include <memory>
#include <string>

#include "config/config.h"
#include "models/files/folder_watcher.h"
#include "models/files/resource.h"

namespace fivefold::models::files {

enum class Want : std::uint8_t { file, listing_html, listing_json };

// What to load. `path` is relative to the folder, decoded, "" or "a/b" or "a/b/".
struct LoadRequest {
  Want want = Want::file;
  std::string path;
  std::string shown_path;  // for a listing: the path as the client knows it
};

// `error` is 0 or an errno: EAGAIN when `cached` patience was not enough, ENOENT for all that is not there or not to be
// seen.
struct Loaded {
  std::shared_ptr<const Resource> resource;
  std::uint32_t seen = 0;  // the resource's changes() before the disk was looked at
  int error = 0;
};

class ResourceLoader {
 public:
  // `content_limit`: files up to this size are read into memory. `watcher` may be null.
  ResourceLoader(config::Files files, std::size_t content_limit, std::shared_ptr<FolderWatcher> watcher);

  // Gives what `previous` found back when it still holds; `previous` may be empty. Thread-safe.
  Loaded load(const LoadRequest& request, const Loaded& previous, Patience patience) const;

  const config::Files& files() const { return files_; }

 private:
  struct Found;
  struct Visit;
  std::expected<Found, int> find(const Visit& visit, const std::string& path) const;
  std::expected<Found, int> find_index(const Visit& visit, Found folder) const;
  int find_neighbours(const Visit& visit, Found& found) const;
  bool still_holds(const Resource& resource, const Found& found, bool unchanged) const;
  std::shared_ptr<FolderWatch> watch_folder_of(const Visit& visit, const std::string& path) const;
  int read_variant(const Visit& visit, const std::string& name, Variant& variant, FileState& state) const;
  int build_file(const Visit& visit, const Found& found, Resource& resource) const;
  int build_listing(const Visit& visit, const Found& found, const LoadRequest& request, Resource& resource) const;
  void write_headers(Variant& variant, std::string_view type, bool vary) const;
  std::string_view type_of(std::string_view path) const;

  config::Files files_;
  std::size_t content_limit_;
  std::shared_ptr<FolderWatcher> watcher_;
};

}  // namespace fivefold::models::files
