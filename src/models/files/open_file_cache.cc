#include "models/files/open_file_cache.h"

namespace fivefold::models::files {

void OpenFileCache::link(Entry& entry) {
  entry.newer = nullptr;
  entry.older = newest_;
  (newest_ ? newest_->newer : oldest_) = &entry;
  newest_ = &entry;
}

void OpenFileCache::unlink(Entry& entry) {
  (entry.newer ? entry.newer->older : newest_) = entry.older;
  (entry.older ? entry.older->newer : oldest_) = entry.newer;
}

OpenFileCache::Entry* OpenFileCache::find(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  Entry& entry = *found->second;
  if (&entry != newest_) {
    unlink(entry);
    link(entry);
  }
  return &entry;
}

void OpenFileCache::drop(Entry& entry) {
  unlink(entry);
  memory_ -= entry.memory;
  descriptors_ -= entry.descriptors;
  entries_.erase(entries_.find(entry.key));  // by iterator: the key looked for is the entry's own
}

void OpenFileCache::erase(const Key& key) {
  if (const auto found = entries_.find(key); found != entries_.end()) drop(*found->second);
}

void OpenFileCache::store(const Key& key, Loaded loaded, net::TimePoint now) {
  if (const auto found = entries_.find(key); found != entries_.end()) {
    Entry& entry = *found->second;
    if (entry.loaded.resource == loaded.resource) {
      entry.loaded.seen = loaded.seen;
      entry.checked = now;
      return;
    }
    drop(entry);
  }
  auto entry = std::make_unique<Entry>();
  entry->path = std::string(key.path);
  entry->key = {key.handler, key.want, entry->path};
  entry->memory = sizeof(Entry) + entry->path.capacity() + loaded.resource->memory();
  entry->descriptors = loaded.resource->descriptors();
  entry->loaded = std::move(loaded);
  entry->checked = now;
  if (settings_.entries == 0 || entry->memory > settings_.memory / 4 || entry->descriptors > descriptor_limit_) return;
  while (oldest_ && (entries_.size() >= settings_.entries || memory_ + entry->memory > settings_.memory))
    drop(*oldest_);
  for (Entry* old = oldest_; old && descriptors_ + entry->descriptors > descriptor_limit_;) {
    Entry* next = old->newer;
    if (old->descriptors > 0) drop(*old);
    old = next;
  }
  memory_ += entry->memory;
  descriptors_ += entry->descriptors;
  link(*entry);
  const Key own = entry->key;
  entries_.emplace(own, std::move(entry));
}

void OpenFileCache::release_descriptors() {
  for (Entry* entry = oldest_; entry;) {
    Entry* next = entry->newer;
    if (entry->descriptors > 0) drop(*entry);
    entry = next;
  }
}

}  // namespace fivefold::models::files
