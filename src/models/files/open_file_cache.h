#pragma once
// What one event loop knows of files: found by path, least recently used out first. Used on its loop only.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/config.h"
#include "models/files/load_queue.h"
#include "models/files/resource_loader.h"
#include "net/timer.h"

namespace fivefold::models::files {

class OpenFileCache {
 public:
  // Which file of which handler; the view is the caller's.
  struct Key {
    std::uint32_t handler = 0;
    Want want = Want::file;
    std::string_view path;
    bool operator==(const Key&) const = default;
  };

  struct Entry {
    std::string path;
    Key key;  // its view is `path`
    Loaded loaded;
    net::TimePoint checked{};  // when the disk was last looked at
    std::size_t memory = 0;
    std::size_t descriptors = 0;
    Entry* newer = nullptr;
    Entry* older = nullptr;

    bool changed() const { return loaded.resource->changes() != loaded.seen; }
  };

  // `descriptors` bounds how many files the cache keeps open.
  OpenFileCache(const config::OpenFileCache& settings, std::size_t descriptors)
      : settings_(settings), descriptor_limit_(descriptors) {}

  // The entry, whatever its age, made the most recently used; null when there is none. Valid until the next store or
  // erase.
  Entry* find(const Key& key);
  bool is_fresh(const Entry& entry, net::TimePoint now) const {
    return now - entry.checked < settings_.valid && !entry.changed();
  }
  // Keeps `loaded`, unless it is larger than a quarter of the memory all entries may use or the cache is off.
  void store(const Key& key, Loaded loaded, net::TimePoint now);
  void erase(const Key& key);
  // Lets go of every entry that holds a descriptor: the process has run out of them.
  void release_descriptors();

  std::size_t size() const { return entries_.size(); }
  std::size_t memory() const { return memory_; }
  std::size_t descriptors() const { return descriptors_; }
  LoadQueue& loads() { return loads_; }

 private:
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return std::hash<std::string_view>{}(key.path) ^
             (key.handler * 4 + static_cast<std::size_t>(key.want)) * 0x9E3779B97F4A7C15ull;
    }
  };
  void link(Entry& entry);
  void unlink(Entry& entry);
  void drop(Entry& entry);

  config::OpenFileCache settings_;
  std::size_t descriptor_limit_;
  std::unordered_map<Key, std::unique_ptr<Entry>, Hash> entries_;
  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
  std::size_t memory_ = 0;
  std::size_t descriptors_ = 0;
  LoadQueue loads_;
};

}  // namespace fivefold::models::files
