<?php
echo json_encode([getallheaders(), apache_request_headers() === getallheaders()]);
