# Rack by itself; Sinatra and Rails have the same file.
run(lambda do |env|
  [200, {"content-type" => "text/plain; charset=utf-8"}, ["hello from Ruby #{RUBY_VERSION}, for #{env["PATH_INFO"]}\n"]]
end)
