#pragma once
// A files handler on a real loop, over a folder of its own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "exchange/exchange.h"
#include "models/files/files_handler.h"
#include "process/child.h"

namespace fivefold::models::files {

struct NoSpawner final : process::Spawner {
  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan) override {
    co_return fail(Code::internal, "no programs here");
  }
};

struct Answer {
  int status = 0;  // 0 for an error
  http::Headers headers;
  std::string body;
  std::optional<std::uint64_t> length;
  bool from_memory = false;
  bool from_file = false;
  std::optional<Error> error;
  std::optional<Error> body_error;
};

using Fields = std::vector<http::Field>;

class FilesFixture : public ::testing::Test {
 protected:
  struct TestExchange final : exchange::Exchange {
    using Exchange::Exchange;
    net::Task<Result<exchange::Response>> redirect_locally(std::string) override {
      co_return fail(Code::internal, "no other paths here");
    }
  };

  FilesFixture() {
    std::string name = std::filesystem::temp_directory_path() / "files-test-XXXXXX";
    outer_ = ::mkdtemp(name.data());
    root_ = outer_ + "/root";
    std::filesystem::create_directory(root_);
    files_.root = root_;
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~FilesFixture() override {
    loop_.stop();
    thread_.join();
    std::error_code ignored;
    std::filesystem::remove_all(outer_, ignored);
  }

  // Writes a file and makes it `age` old, so that it is kept at the first look.
  void write(const std::string& name, std::string_view content, std::chrono::seconds age = std::chrono::hours(1)) {
    const std::filesystem::path path = root_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    set_age(name, age);
  }
  void set_age(const std::string& name, std::chrono::seconds age) {
    std::filesystem::last_write_time(root_ + "/" + name, std::filesystem::file_time_type::clock::now() - age);
  }

  FilesHandler& handler() {
    if (!handler_) {
      caches_ = std::make_shared<FileCaches>(cache_, 1, watches_);
      handler_ = std::make_unique<FilesHandler>(files_, caches_);
    }
    return *handler_;
  }

  Answer request(http::Method method, const std::string& path, Fields fields = {}, const std::string& query = {}) {
    std::promise<Answer> done;
    auto future = done.get_future();
    net::TaskGroup group;
    FilesHandler& handler = this->handler();
    loop_.post([&] { group.start(one(handler, method, path, std::move(fields), query, done)); });
    if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
      ADD_FAILURE() << "no answer for " << path;
      std::abort();
    }
    Answer answer = future.get();
    on_loop([] {});  // the group's task has ended too
    return answer;
  }
  Answer get(const std::string& path, Fields fields = {}) {
    return request(http::Method::get, path, std::move(fields));
  }

  void on_loop(const std::function<void()>& work) {
    std::promise<void> done;
    loop_.post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  net::Task<void> one(FilesHandler& handler, http::Method method, std::string path, Fields fields, std::string query,
                      std::promise<Answer>& done) {
    http::Head head;
    head.method = method;
    head.raw_path = path;
    head.query = query;
    head.has_query = !query.empty();
    head.fields = std::move(fields);
    const exchange::Peer peer;
    TestExchange exchange(world_);
    exchange.route_prefix = prefix_;
    exchange.route_rest = std::string_view(path).substr(std::min(prefix_.size(), path.size()));
    Answer answer;
    exchange::Request request{.head = head, .path = path, .body = {}, .peer = peer};
    auto response = co_await handler.handle(std::move(request), exchange);
    if (!response) {
      answer.error = std::move(response.error());
    } else {
      answer.status = response->status;
      answer.headers = response->headers;
      answer.length = response->body.length();
      answer.from_memory = response->body.as_bytes();
      answer.from_file = response->body.as_file();
      if (before_body_) before_body_();
      if (method == http::Method::head) response->body = {};
      auto body = co_await exchange::read_all(response->body, 1u << 30);
      if (body)
        answer.body = std::move(*body);
      else
        answer.body_error = std::move(body.error());
    }
    done.set_value(std::move(answer));
  }

  std::string outer_;
  std::string root_;
  std::string prefix_ = "/";
  config::Files files_;
  config::OpenFileCache cache_;
  std::size_t watches_ = FolderWatcher::kWatches;
  std::function<void()> before_body_;
  net::Loop loop_{0};
  NoSpawner spawner_;
  net::BlockingPool pool_{2};
  exchange::World world_{.loop = loop_, .blocking = pool_, .spawner = spawner_};
  std::shared_ptr<FileCaches> caches_;
  std::unique_ptr<FilesHandler> handler_;
  std::thread thread_;
};

// Tries until it is so; for what another thread notices in its own time.
template <class Condition>
bool eventually(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace fivefold::models::files
