#include "models/files/files_handler.h"

#include <fmt/format.h>

#include <cerrno>

#include "base/text.h"
#include "models/files/file_response.h"

namespace fivefold::models::files {
namespace {

using exchange::Response;
using http::Method;

// What the path names below the folder: what the route's * matched. A route for one exact path names the file of that
// name.
std::string_view path_below(const exchange::Exchange& exchange) {
  std::string_view rest = exchange.route_rest;
  const std::string_view prefix = exchange.route_prefix;
  if (rest.empty() && !prefix.ends_with('/')) rest = prefix.substr(prefix.rfind('/') + 1);
  while (rest.starts_with('/')) rest.remove_prefix(1);
  return rest;
}

// A segment that begins with a dot is hidden, but for /.well-known/ (RFC 8615); ".." never gets here, and would be
// refused.
bool is_hidden(std::string_view path, bool dot_files) {
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const auto segment = path.substr(begin, end - begin);
    if (segment == ".." || segment == ".") return true;
    if (segment.starts_with('.') && !dot_files && segment != ".well-known") return true;
    begin = end + 1;
  }
  return false;
}

Result<Response> other_method(Method method) {
  if (method != Method::options)
    return fail(Code::method_not_allowed, "a file can be fetched with GET and HEAD only", "GET, HEAD");
  Response response{.status = 204};
  response.headers.add("Allow", "GET, HEAD, OPTIONS");
  return response;
}

bool is_exhaustion(int error_number) {
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOMEM;
}

// What a finished load does whether or not somebody still waits for it.
std::function<void(const LoadQueue::Loading&)> keep_in(std::shared_ptr<OpenFileCache> cache, std::uint32_t handler) {
  return [cache = std::move(cache), handler](const LoadQueue::Loading& loading) {
    const OpenFileCache::Key key{handler, loading.request.want, loading.request.path};
    if (loading.result.error == 0) {
      cache->store(key, loading.result, net::Clock::now());
    } else if (!is_exhaustion(loading.result.error)) {
      cache->erase(key);
    }
  };
}

}  // namespace

FilesHandler::FilesHandler(config::Files files, std::shared_ptr<FileCaches> caches)
    : caches_(std::move(caches)),
      id_(caches_->next_handler()),
      loader_(std::make_shared<const ResourceLoader>(std::move(files), caches_->content_limit(), caches_->watcher())) {}

net::Task<Result<Response>> FilesHandler::handle(exchange::Request request, exchange::Exchange& exchange) {
  const http::Head& head = request.head;
  if (head.method != Method::get && head.method != Method::head) co_return other_method(head.method);
  const config::Files& files = loader_->files();
  const Asked asked = survey(head);
  const std::string_view path = path_below(exchange);
  OpenFileCache& cache = *caches_->of(exchange.world.loop.index());

  const net::TimePoint now = exchange.world.loop.now();
  caches_->catch_up(exchange.world.loop, now);
  const auto* entry = cache.find({id_, Want::file, path});
  if (entry && entry->loaded.resource->kind == Resource::Kind::file && cache.is_fresh(*entry, now))
    co_return file_response(entry->loaded.resource, head, asked, files.max_ranges, exchange.world);

  if (is_hidden(path, files.dot_files)) co_return std::unexpected(error_of(ENOENT, request.path));
  auto found = co_await open({id_, Want::file, path}, request.path, exchange);
  if (!found) co_return std::unexpected(std::move(found.error()));
  if ((*found)->kind == Resource::Kind::redirect) co_return slash_redirect(request.path, head);
  if ((*found)->kind == Resource::Kind::folder) {
    if (!files.listing) co_return std::unexpected(error_of(ENOENT, request.path));
    const Want want = wants_json(asked.accept) ? Want::listing_json : Want::listing_html;
    found = co_await open({id_, want, path}, request.path, exchange);
    if (!found) co_return std::unexpected(std::move(found.error()));
    // Between the two looks the folder may have got an index, or gone.
    if ((*found)->kind == Resource::Kind::redirect || (*found)->kind == Resource::Kind::folder)
      co_return std::unexpected(error_of(ENOENT, request.path));
  }
  co_return file_response(*found, head, asked, files.max_ranges, exchange.world);
}

net::Task<FilesHandler::Found> FilesHandler::open(OpenFileCache::Key key, std::string_view shown_path,
                                                  exchange::Exchange& exchange) const {
  const std::shared_ptr<OpenFileCache> cache = caches_->of(exchange.world.loop.index());
  net::Loop& loop = exchange.world.loop;
  // A load that another request began may have read what has changed before this request came: then once more.
  for (int attempt = 1;; ++attempt) {
    auto* entry = cache->find(key);
    if (entry && cache->is_fresh(*entry, loop.now())) co_return entry->loaded.resource;
    const Loaded previous = entry ? entry->loaded : Loaded{};
    const LoadRequest request{.want = key.want, .path = std::string(key.path), .shown_path = std::string(shown_path)};
    Loaded loaded = loader_->load(request, previous, Patience::cached);
    if (is_exhaustion(loaded.error) && cache->descriptors() > 0) {
      cache->release_descriptors();
      entry = cache->find(key);  // it may have been among them
      loaded = loader_->load(request, previous, Patience::cached);
    }
    if (loaded.error != EAGAIN) co_return settle(*cache, key, std::move(loaded), previous, loop.now());

    // The disk is needed. Where only the time has come to look again, other requests meanwhile get what was true a
    // moment ago.
    if (entry && !entry->changed()) entry->checked = loop.now();
    std::string name = fmt::format("{}/{}/{}", key.handler, static_cast<int>(key.want), key.path);
    auto loading = cache->loads().start(std::move(name), request, previous, loader_, exchange.world.blocking, loop,
                                        keep_in(cache, key.handler));
    loaded = co_await LoadQueue::Loading::Wait(std::move(loading));
    const bool stale = loaded.resource && loaded.resource->changes() != loaded.seen;
    if (stale && attempt < 2) continue;
    co_return settle(*cache, key, std::move(loaded), previous, loop.now());
  }
}

// Keeps what was loaded, or turns the failure into the client's answer.
FilesHandler::Found FilesHandler::settle(OpenFileCache& cache, const OpenFileCache::Key& key, Loaded loaded,
                                         const Loaded& previous, net::TimePoint now) const {
  if (loaded.error == 0) {
    auto resource = loaded.resource;
    cache.store(key, std::move(loaded), now);
    return resource;
  }
  // Out of descriptors is no reason to forget what is in memory and, as far as is known, still true.
  if (is_exhaustion(loaded.error) && previous.resource && previous.resource->changes() == previous.seen)
    return previous.resource;
  cache.erase(key);
  return std::unexpected(error_of(loaded.error, key.path));
}

Error FilesHandler::error_of(int error_number, std::string_view path) const {
  const std::string name = printable(path, 200);
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ENXIO:  // a socket, or a device without a driver
    case ENODEV:
    case EINVAL:  // a name that this file system cannot have
    case EILSEQ:
      return {Code::not_found, "there is no file \"" + name + "\" below " + loader_->files().root};
    case ELOOP:
      if (loader_->files().symlinks != config::Symlinks::deny)
        return {Code::not_found, "\"" + name + "\" is a circle of symbolic links"};
      return {Code::forbidden,
              "\"" + name + "\" leads through a symbolic link, and this route has symlinks = \"deny\""};
    case EXDEV:
      return {Code::forbidden, "\"" + name + "\" leads out of " + loader_->files().root +
                                   " by a symbolic link; symlinks = \"follow\" would allow it"};
    case EACCES:
    case EPERM:
      return {Code::forbidden, "the server's user may not read \"" + name + "\" below " + loader_->files().root};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return {Code::out_of_resources, "opening \"" + name + "\": " + errno_text(error_number)};
    default:
      return {Code::internal,
              "opening \"" + name + "\" below " + loader_->files().root + ": " + errno_text(error_number)};
  }
}

}  // namespace fivefold::models::files
