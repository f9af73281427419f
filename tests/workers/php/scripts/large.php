<?php
echo str_repeat('0123456789', 130000);
