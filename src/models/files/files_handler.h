#pragma once
// One request for a file.
#include <memory>
#include <string>
#include <string_view>

#include "exchange/exchange.h"
#include "models/files/file_caches.h"
#include "models/files/resource_loader.h"

namespace fivefold::models::files {

class FilesHandler final : public exchange::Handler {
 public:
  FilesHandler(config::Files files, std::shared_ptr<FileCaches> caches);

  // GET and HEAD of what is in the cache complete without suspending and without a look at the disk.
  net::Task<Result<exchange::Response>> handle(exchange::Request request, exchange::Exchange& exchange) override;

 private:
  using Found = Result<std::shared_ptr<const Resource>>;
  // What is on the disk for `key`, by way of the cache.
  net::Task<Found> open(OpenFileCache::Key key, std::string_view shown_path, exchange::Exchange& exchange) const;
  Found settle(OpenFileCache& cache, const OpenFileCache::Key& key, Loaded loaded, const Loaded& previous,
               net::TimePoint now) const;
  Error error_of(int error_number, std::string_view path) const;

  std::shared_ptr<FileCaches> caches_;
  std::uint32_t id_;
  std::shared_ptr<const ResourceLoader> loader_;
};

}  // namespace fivefold::models::files
