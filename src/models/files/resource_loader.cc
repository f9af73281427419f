#include "models/files/resource_loader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "base/text.h"
#include "http/date.h"
#include "http/media_type.h"
#include "models/files/listing.h"

namespace fivefold::models::files {
namespace {

// A file whose content changes while it is read is read again this often, then taken as it came.
constexpr int kReadAttempts = 3;
// Younger files are read again whenever they are looked at: file times move in steps of some milliseconds (and of two
// seconds on FAT), so that a second change can hide behind the first.
constexpr std::int64_t kSettledAfterNs = 2'000'000'000;

struct Neighbour {
  std::string_view suffix;
  http::Coding coding;
};
constexpr std::array<Neighbour, 3> kNeighbours{
    Neighbour{".zst", http::Coding::zstd}, Neighbour{".br", http::Coding::br}, Neighbour{".gz", http::Coding::gzip}};

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

bool is_absent(int error) {
  return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ENXIO || error == ENODEV;
}

// Reads `size` bytes, or up to the end. 0 or an errno.
int read_content(int fd, std::uint64_t size, Patience patience, std::string& content) {
  int error = 0;
  content.resize_and_overwrite(size, [&](char* data, std::size_t capacity) {
    std::size_t filled = 0;
    while (filled < capacity) {
      const iovec part{.iov_base = data + filled, .iov_len = capacity - filled};
      const int flags = patience == Patience::cached ? RWF_NOWAIT : 0;
      const ssize_t count = ::preadv2(fd, &part, 1, static_cast<off_t>(filled), flags);
      if (count == 0) break;
      if (count < 0) {
        if (errno == EINTR) continue;
        error = errno == EOPNOTSUPP && patience == Patience::cached ? EAGAIN : errno;
        break;
      }
      filled += static_cast<std::size_t>(count);
    }
    return filled;
  });
  return error;
}

}  // namespace

// One load: the folder as it was opened for it, and how long it may wait.
struct ResourceLoader::Visit {
  PathWalk walk;
  UniqueFd root;
  Patience patience;
};

struct ResourceLoader::Found {
  Resource::Kind kind = Resource::Kind::file;
  std::string path;  // of the file or the folder, relative to the root, without a slash at the end; "." is the root
  FileState state;
  std::size_t index = 0;
  std::array<std::optional<FileState>, 3> neighbours;
};

ResourceLoader::ResourceLoader(config::Files files, std::size_t content_limit, std::shared_ptr<FolderWatcher> watcher)
    : files_(std::move(files)), content_limit_(content_limit), watcher_(std::move(watcher)) {}

Loaded ResourceLoader::load(const LoadRequest& request, const Loaded& previous, Patience patience) const {
  // The root is opened for every look, so that a folder that is replaced (a link moved to the next release) is seen.
  Visit visit{.walk = PathWalk(files_.symlinks, patience), .root = {}, .patience = patience};
  auto root = visit.walk.open_root(files_.root);
  if (!root) return {.error = root.error()};
  visit.root = std::move(*root);

  if (previous.resource) {
    const std::uint32_t seen = previous.resource->changes();
    const auto found = find(visit, request.path);
    if (!found) return {.error = found.error()};
    const bool unchanged = previous.resource->watch && seen == previous.seen;
    if (still_holds(*previous.resource, *found, unchanged)) return {.resource = previous.resource, .seen = seen};
  }

  // The watch comes before the look, so that no change falls between them.
  auto resource = std::make_shared<Resource>();
  resource->watch = watch_folder_of(visit, request.path);
  const bool whole_folder = request.path.empty() || request.path.ends_with('/');
  resource->watch_slot = whole_folder
                             ? FolderWatch::kAnyName
                             : FolderWatch::slot_of(std::string_view(request.path).substr(request.path.rfind('/') + 1));
  const std::uint32_t seen = resource->changes();
  auto found = find(visit, request.path);
  if (!found) return {.error = found.error()};
  resource->kind = found->kind;
  resource->index = found->index;
  resource->state = found->state;
  resource->neighbours = found->neighbours;
  int error = 0;
  if (found->kind == Resource::Kind::file) {
    error = build_file(visit, *found, *resource);
  } else if (found->kind == Resource::Kind::folder && request.want != Want::file) {
    error = build_listing(visit, *found, request, *resource);
  }
  if (error != 0) return {.error = error};
  resource->settled = now_ns() - std::max(resource->state.modified_ns, resource->state.changed_ns) > kSettledAfterNs;
  return {.resource = std::move(resource), .seen = seen};
}

std::expected<ResourceLoader::Found, int> ResourceLoader::find(const Visit& visit, const std::string& path) const {
  const bool as_folder = path.empty() || path.ends_with('/');
  Found found;
  found.path = path.empty() ? "." : as_folder ? path.substr(0, path.size() - 1) : path;
  const auto opened = visit.walk.open(visit.root.get(), found.path, O_PATH);
  if (!opened) return std::unexpected(opened.error());
  const auto looked = look(opened->get());
  if (!looked) return std::unexpected(looked.error());
  found.state = looked->state;
  if (S_ISDIR(looked->mode)) {
    found.kind = as_folder ? Resource::Kind::folder : Resource::Kind::redirect;
    return as_folder ? find_index(visit, std::move(found)) : std::expected<Found, int>(std::move(found));
  }
  if (as_folder || !S_ISREG(looked->mode)) return std::unexpected(ENOENT);
  if (const int error = find_neighbours(visit, found)) return std::unexpected(error);
  return found;
}

std::expected<ResourceLoader::Found, int> ResourceLoader::find_index(const Visit& visit, Found folder) const {
  for (std::size_t i = 0; i < files_.index.size(); ++i) {
    std::string path = folder.path + "/" + files_.index[i];
    const auto opened = visit.walk.open(visit.root.get(), path, O_PATH);
    if (!opened) {
      if (is_absent(opened.error())) continue;
      return std::unexpected(opened.error());
    }
    const auto looked = look(opened->get());
    if (!looked) return std::unexpected(looked.error());
    if (!S_ISREG(looked->mode)) continue;
    Found found{
        .kind = Resource::Kind::file, .path = std::move(path), .state = looked->state, .index = i, .neighbours = {}};
    if (const int error = find_neighbours(visit, found)) return std::unexpected(error);
    return found;
  }
  return folder;
}

// A neighbour that is older than the file it was made from is not used. 0 or EAGAIN.
int ResourceLoader::find_neighbours(const Visit& visit, Found& found) const {
  if (!files_.precompressed) return 0;
  for (std::size_t i = 0; i < kNeighbours.size(); ++i) {
    const auto opened = visit.walk.open(visit.root.get(), found.path + std::string(kNeighbours[i].suffix), O_PATH);
    if (!opened) {
      if (opened.error() == EAGAIN) return EAGAIN;
      continue;
    }
    const auto looked = look(opened->get());
    if (looked && S_ISREG(looked->mode) && looked->state.modified_ns >= found.state.modified_ns)
      found.neighbours[i] = looked->state;
  }
  return 0;
}

bool ResourceLoader::still_holds(const Resource& resource, const Found& found, bool unchanged) const {
  // Sizes and dates of the files in it do not show in the folder's own times: without a watch a listing is made anew.
  if (resource.kind == Resource::Kind::listing)
    return unchanged && found.kind == Resource::Kind::folder && resource.state == found.state;
  if (resource.kind != found.kind) return false;
  if (resource.kind != Resource::Kind::file) return true;
  return resource.settled && resource.state == found.state && resource.index == found.index &&
         resource.neighbours == found.neighbours;
}

std::shared_ptr<FolderWatch> ResourceLoader::watch_folder_of(const Visit& visit, const std::string& path) const {
  if (!watcher_) return nullptr;
  const auto slash = path.rfind('/');
  const auto folder =
      visit.walk.open(visit.root.get(), slash == std::string::npos ? "." : path.substr(0, slash), O_PATH | O_DIRECTORY);
  return folder ? watcher_->watch(folder->get()) : nullptr;
}

// Opens one file and reads it when it is small. `state` becomes that of what was opened.
int ResourceLoader::read_variant(const Visit& visit, const std::string& name, Variant& variant,
                                 FileState& state) const {
  for (int attempt = 1;; ++attempt) {
    auto opened = visit.walk.open(visit.root.get(), name, O_RDONLY);
    if (!opened) return opened.error();
    auto looked = look(opened->get());
    if (!looked) return looked.error();
    if (!S_ISREG(looked->mode)) return ENOENT;
    variant.in_memory = looked->state.size <= content_limit_;
    if (variant.in_memory) {
      if (const int error = read_content(opened->get(), looked->state.size, visit.patience, variant.content))
        return error;
      const auto after = look(opened->get());
      if (!after) return after.error();
      const bool torn = after->state != looked->state || variant.content.size() != looked->state.size;
      if (torn && attempt < kReadAttempts) continue;
      variant.size = variant.content.size();
    } else {
      variant.fd = std::move(*opened);
      variant.size = looked->state.size;
    }
    state = looked->state;
    const auto tag_name = http::coding_name(variant.coding);
    variant.etag = fmt::format("\"{:x}-{:x}{}{}\"", static_cast<std::uint64_t>(state.modified_ns), variant.size,
                               tag_name.empty() ? "" : "-", tag_name);
    // RFC 9110 section 8.8.2.1: a time that lies ahead is not told.
    variant.modified = std::min<std::int64_t>(state.modified_ns / 1'000'000'000, ::time(nullptr));
    return 0;
  }
}

int ResourceLoader::build_file(const Visit& visit, const Found& found, Resource& resource) const {
  if (const int error = read_variant(visit, found.path, resource.whole, resource.state)) return error;
  const std::string_view type = type_of(found.path);
  for (std::size_t i = 0; i < kNeighbours.size(); ++i) {
    if (!found.neighbours[i]) continue;
    Variant variant;
    variant.coding = kNeighbours[i].coding;
    const int error =
        read_variant(visit, found.path + std::string(kNeighbours[i].suffix), variant, *resource.neighbours[i]);
    if (error == EAGAIN || error == EMFILE || error == ENFILE || error == ENOMEM) return error;
    if (error != 0) continue;  // gone or unreadable: the file itself is sent
    write_headers(variant, type, true);
    resource.precompressed.push_back(std::move(variant));
  }
  std::ranges::sort(resource.precompressed, {}, &Variant::size);
  write_headers(resource.whole, type, !resource.precompressed.empty());
  return 0;
}

int ResourceLoader::build_listing(const Visit& visit, const Found& found, const LoadRequest& request,
                                  Resource& resource) const {
  if (visit.patience == Patience::cached) return EAGAIN;  // many looks at the disk: never on a loop
  auto folder = visit.walk.open(visit.root.get(), found.path, O_RDONLY | O_DIRECTORY);
  if (!folder) return folder.error();
  auto listing = read_listing(std::move(*folder), files_, visit.walk, visit.root.get(), found.path);
  if (!listing) return listing.error();
  resource.kind = Resource::Kind::listing;
  Variant& whole = resource.whole;
  const bool json = request.want == Want::listing_json;
  whole.content = json ? listing_json(*listing, request.shown_path)
                       : listing_html(*listing, request.shown_path, !request.path.empty());
  whole.in_memory = true;
  whole.size = whole.content.size();
  whole.etag = fmt::format("\"{:x}-{:x}\"", std::hash<std::string_view>{}(whole.content), whole.size);
  whole.headers.add("Content-Type", json ? "application/json" : "text/html; charset=utf-8");
  for (http::Headers* headers : {&whole.headers, &whole.not_modified}) {
    headers->add("ETag", whole.etag);
    headers->add("Cache-Control", "no-cache");
    headers->add("Vary", "Accept");
  }
  return 0;
}

void ResourceLoader::write_headers(Variant& variant, std::string_view type, bool vary) const {
  http::Headers& headers = variant.headers;
  headers.add("Content-Type", type);
  if (variant.coding != http::Coding::identity) headers.add("Content-Encoding", http::coding_name(variant.coding));
  headers.add("Accept-Ranges", "bytes");
  headers.add("Last-Modified", http::format_date(*variant.modified));
  for (http::Headers* each : {&variant.headers, &variant.not_modified}) {
    each->add("ETag", variant.etag);
    if (!files_.cache_control.empty()) each->add("Cache-Control", files_.cache_control);
    if (vary) each->add("Vary", "Accept-Encoding");
  }
}

// The configuration's own types come before the built-in table: the longest of ".suffix" or a whole name, ignoring
// case.
std::string_view ResourceLoader::type_of(std::string_view path) const {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  std::string_view type;
  std::size_t longest = 0;
  for (const auto& [pattern, media_type] : files_.types) {
    std::string_view suffix = pattern;
    if (suffix.starts_with('.')) suffix.remove_prefix(1);
    if (suffix.size() <= longest || name.size() < suffix.size()) continue;
    if (!equals_ignoring_case(name.substr(name.size() - suffix.size()), suffix)) continue;
    if (name.size() > suffix.size() && name[name.size() - suffix.size() - 1] != '.') continue;
    type = media_type;
    longest = suffix.size();
  }
  return longest > 0 ? type : http::media_type_of(name);
}

}  // namespace fivefold::models::files
