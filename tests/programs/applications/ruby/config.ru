# Sinatra on Rack.
require "digest"
require "json"
require "sinatra/base"

class Site < Sinatra::Base
  enable :sessions
  set :session_secret, "known to the test alone " * 4
  set :show_exceptions, false
  set :raise_errors, false
  before { content_type :text }

  get("/hello") { "hello #{params["name"]}" }
  post("/form") { "form #{params["name"]}" }
  put("/upload") do
    digest = Digest::SHA256.new
    while (piece = request.body.read(65536))
      digest << piece
    end
    digest.hexdigest
  end
  post("/multipart") { Digest::SHA256.hexdigest(params["file"]["tempfile"].read) }
  get("/download/:size") do
    content_type "application/octet-stream"
    size = params["size"].to_i
    stream { |out| 0.step(size - 1, 65536) { |start| out << "x" * [65536, size - start].min } }
  end
  get("/cookies") do
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    request.get_header("HTTP_COOKIE") || ""
  end
  get("/events") do
    content_type "text/event-stream"
    stream do |out|
      out << "data: first\n\n"
      sleep 0.01 until File.exist?(params["until"])
      out << "data: last\n\n"
    end
  end
  get("/count") do
    session["seen"] = session.fetch("seen", 0) + 1
    "seen #{session["seen"]}"
  end
  get("/who") do
    content_type :json
    {ip: request.ip, protocol: request.scheme, host: request.host, url: request.fullpath}.to_json
  end
  get("/fail") { raise "on purpose" }
end

run Site
