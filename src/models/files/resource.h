#pragma once
// What a path under a folder turned out to be, with everything its responses need: immutable, shared by the cache and
// by the responses being sent.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "http/headers.h"
#include "http/negotiate.h"
#include "models/files/file_state.h"
#include "models/files/folder_watcher.h"

namespace fivefold::models::files {

// One representation: the file as it is, one of its precompressed neighbours, or a listing.
struct Variant {
  http::Coding coding = http::Coding::identity;
  UniqueFd fd;  // open while the content is not in memory
  bool in_memory = false;
  std::string content;
  std::uint64_t size = 0;
  std::string etag;
  std::optional<std::int64_t> modified;  // unix seconds
  http::Headers headers;                 // of a 200
  http::Headers not_modified;            // of a 304 (RFC 9110 section 15.4.5)
};

struct Resource {
  enum class Kind : std::uint8_t {
    file,      // `whole`, and its neighbours
    redirect,  // a folder that was asked for without its slash
    folder,    // a folder without an index file
    listing,   // `whole`
  } kind = Kind::file;
  Variant whole;
  std::vector<Variant> precompressed;  // smallest first

  // How a look at the disk tells whether this still holds.
  FileState state;        // of the file, or of the folder
  std::size_t index = 0;  // which of the index names was found, for a path that ends in a slash
  std::array<std::optional<FileState>, 3> neighbours;
  bool settled = false;                // the file was old enough that a later change must show in its times
  std::shared_ptr<FolderWatch> watch;  // of the folder it lies in; null where there is none
  unsigned watch_slot = FolderWatch::kAnyName;

  std::uint32_t changes() const { return watch ? watch->changes(watch_slot) : 0; }
  std::size_t memory() const;
  std::size_t descriptors() const;
};

}  // namespace fivefold::models::files
