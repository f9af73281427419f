<?php
header('X-Own: 1');
http_response_code($_GET['i'] + 100);
echo json_encode(apache_response_headers());
