#include "models/files/load_queue.h"

#include "models/files/files_test_support.h"

namespace fivefold::models::files {
namespace {

class LoadQueueTest : public FilesFixture {
 protected:
  net::Task<void> load(LoadQueue& queue, std::shared_ptr<const ResourceLoader> loader, std::vector<Loaded>& results) {
    auto loading = queue.start("a.txt", {.path = "a.txt"}, {}, loader, slow_, loop_,
                               [this](const LoadQueue::Loading&) { ++finished_; });
    results.push_back(co_await LoadQueue::Loading::Wait(std::move(loading)));
  }
  // One thread, held up as by a disk until release() is called.
  net::BlockingPool slow_{1};
  std::promise<void> release_;
  int finished_ = 0;
};

TEST_F(LoadQueueTest, OneLoadServesAllWhoWaitAndThoseWhoLeaveDisturbNobody) {
  write("a.txt", "hello");
  const auto loader = std::make_shared<const ResourceLoader>(files_, 1000, nullptr);
  slow_.submit([held = std::make_shared<std::future<void>>(release_.get_future())] { held->wait(); });
  LoadQueue queue;
  std::vector<Loaded> results, dropped;
  auto stay = std::make_unique<net::TaskGroup>();
  auto leave = std::make_unique<net::TaskGroup>();
  on_loop([&] {
    stay->start(load(queue, loader, results));
    leave->start(load(queue, loader, dropped));
    stay->start(load(queue, loader, results));
    EXPECT_EQ(queue.size(), 1u);
    leave.reset();
  });
  release_.set_value();
  EXPECT_TRUE(eventually([&] {
    std::size_t count = 0;
    on_loop([&] { count = results.size(); });
    return count == 2;
  }));
  on_loop([&] {
    stay.reset();
    EXPECT_EQ(queue.size(), 0u);
    EXPECT_EQ(finished_, 1);
    EXPECT_TRUE(dropped.empty());
    ASSERT_TRUE(results[0].resource);
    EXPECT_EQ(results[0].resource, results[1].resource);
    EXPECT_EQ(results[0].resource->whole.content, "hello");
  });
}

}  // namespace
}  // namespace fivefold::models::files
