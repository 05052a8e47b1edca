// Finds objects in a picture with a file of `mbv3zoo export`, by OpenVINO: detect model.onnx picture.ppm
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <openvino/openvino.hpp>
#include <string>
#include <vector>

const float SCORE_THRESH = 0.25f, IOU_THRESH = 0.45f;
const size_t MAX_DETECTIONS = 300;

struct Image {
    int width, height;
    std::vector<uint8_t> rgb;  // row by row, 3 bytes per pixel
};
struct Box {
    float x1, y1, x2, y2, score;
    int label;
};

// A PPM picture (P6). With OpenCV: cv::imread, which turns it as its EXIF says, then cv::cvtColor from BGR to RGB.
Image read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string words[4];
    for (auto& word : words)
        while (file >> word && word[0] == '#') std::getline(file, word);
    if (words[0] != "P6" || words[3] != "255") throw std::runtime_error(path + " is no PPM picture of 8 bits (P6)");
    Image image{std::stoi(words[1]), std::stoi(words[2]), {}};
    image.rgb.resize(size_t(3) * image.width * image.height);
    file.get();
    if (!file.read(reinterpret_cast<char*>(image.rgb.data()), image.rgb.size()))
        throw std::runtime_error(path + " ends before its last pixel");
    return image;
}

// The numbers or strings of one key of the record, lists inside lists in a row, as JSON writes them.
std::vector<std::string> values(const std::string& record, const std::string& key) {
    size_t i = record.find("\"" + key + "\":"), depth = 0;
    if (i == std::string::npos) throw std::runtime_error("the model's record has no " + key);
    std::vector<std::string> found;
    i += key.size() + 3;
    do {
        const size_t start = i;
        const char c = record.at(i++);
        if (c == '[') depth++;
        else if (c == ']') depth--;
        else if (c != ',' && c != ' ') {
            if (c == '"')
                while (record.at(i++) != '"') i += record[i - 1] == '\\';
            else
                while (std::isalnum(record.at(i)) || record[i] == '.') i++;
            found.push_back(record.substr(start, i - start));
        }
    } while (depth || record[i - 1] == ' ');
    return found;
}

// Resizes rows to a new width, bilinear with antialias as Pillow does, and swaps rows and columns: called twice, it
// resizes both sides.
Image resize_across(const Image& image, int width) {
    Image out{image.height, width, std::vector<uint8_t>(size_t(3) * width * image.height)};
    const double scale = double(image.width) / width, support = std::max(1.0, scale);  // wider where it shrinks
    for (int x = 0; x < width; x++) {
        const double centre = (x + 0.5) * scale;
        const int first = std::max(0, int(centre - support + 0.5));
        std::vector<double> weights(std::min(image.width, int(centre + support + 0.5)) - first);
        double sum = 0;
        for (size_t j = 0; j < weights.size(); j++)
            sum += weights[j] = std::max(0.0, 1 - std::abs(first + j + 0.5 - centre) / support);
        for (int y = 0; y < image.height; y++)
            for (int c = 0; c < 3; c++) {
                double value = 0.5;
                for (size_t j = 0; j < weights.size(); j++)
                    value += weights[j] / sum * image.rgb[3 * (size_t(y) * image.width + first + j) + c];
                out.rgb[3 * (size_t(x) * image.height + y) + c] = uint8_t(std::min(255.0, value));
            }
    }
    return out;
}

// Adds the boxes of one map, [1, A * outputs, rows, columns], in pixels of the input. Its outputs are tx, ty, tw, th,
// objectness and one number per class, before the sigmoid; `anchors` are A times width and height.
void decode(const ov::Tensor& map, const float* anchors, size_t outputs, float stride, std::vector<Box>& boxes) {
    const size_t columns = map.get_shape()[3], cells = map.get_shape()[2] * columns;
    for (size_t i = 0; i < map.get_size() / outputs; i++) {
        const size_t anchor = i / cells, cell = i % cells;
        auto s = [&](size_t output) {
            return 1 / (1 + std::exp(-map.data<float>()[(anchor * outputs + output) * cells + cell]));
        };
        if (s(4) <= SCORE_THRESH) continue;
        size_t best = 5;
        for (size_t k = 6; k < outputs; k++)
            if (s(k) > s(best)) best = k;
        const float x = (2 * s(0) - 0.5f + cell % columns) * stride, y = (2 * s(1) - 0.5f + cell / columns) * stride;
        const float half_width = 2 * s(2) * s(2) * anchors[2 * anchor];  // (2 s)^2 * width / 2
        const float half_height = 2 * s(3) * s(3) * anchors[2 * anchor + 1];
        if (s(4) * s(best) > SCORE_THRESH)
            boxes.push_back({x - half_width, y - half_height, x + half_width, y + half_height, s(4) * s(best),
                             int(best) - 5});
    }
}

float iou(const Box& a, const Box& b) {
    const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
    const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
    const float shared = std::max(0.0f, width) * std::max(0.0f, height);
    return shared / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - shared);
}

// NMS of each class by itself: the best first, without those that overlap a better one by more than a threshold.
std::vector<Box> suppress(std::vector<Box> boxes, float iou_thresh) {
    std::stable_sort(boxes.begin(), boxes.end(), [](const Box& a, const Box& b) { return a.score > b.score; });
    std::vector<Box> kept;
    for (const Box& box : boxes) {
        auto rival = [&](const Box& other) { return other.label == box.label && iou(other, box) > iou_thresh; };
        if (kept.size() < MAX_DETECTIONS && std::none_of(kept.begin(), kept.end(), rival)) kept.push_back(box);
    }
    return kept;
}

int main(int count, char** arguments) try {
    if (count != 3) throw std::runtime_error("usage: detect model.onnx picture.ppm");
    ov::Core core;
    const auto model = core.read_model(arguments[1]);
    if (!model->has_rt_info("framework", "mbv3zoo")) throw std::runtime_error("no file of mbv3zoo export");
    const auto record = model->get_rt_info<std::string>("framework", "mbv3zoo");
    if (values(record, "outputs")[0] != "\"maps\"") throw std::runtime_error("NMS is inside; export without --nms");
    const int height = std::stoi(values(record, "image_size")[0]), width = std::stoi(values(record, "image_size")[1]);
    const auto strides = values(record, "strides"), class_names = values(record, "class_names");
    std::vector<float> anchors;
    for (const auto& side : values(record, "anchors")) anchors.push_back(std::stof(side));

    // The letterbox: as large as fits, in the middle of grey. (nearbyint rounds halves to even.)
    const Image image = read_ppm(arguments[2]);
    const double scale = std::min(double(height) / image.height, double(width) / image.width);
    const int new_width = std::max(1, int(std::nearbyint(scale * image.width)));
    const int new_height = std::max(1, int(std::nearbyint(scale * image.height)));
    const int left = (width - new_width) / 2, top = (height - new_height) / 2;
    const Image resized = resize_across(resize_across(image, new_width), new_height);
    ov::Tensor input(ov::element::u8, {1, 3, size_t(height), size_t(width)});
    std::fill_n(input.data<uint8_t>(), input.get_size(), 114);
    for (int i = 0; i < 3 * new_width * new_height; i++) {
        const int c = i % 3, x = i / 3 % new_width, y = i / 3 / new_width;
        input.data<uint8_t>()[(c * height + top + y) * width + left + x] = resized.rgb[i];
    }

    // In float32: some CPUs would compute in bfloat16.
    auto compiled = core.compile_model(model, "CPU", ov::hint::inference_precision(ov::element::f32));
    auto request = compiled.create_infer_request();
    request.set_input_tensor(input);
    request.infer();
    std::vector<Box> boxes;
    const size_t outputs = 5 + class_names.size();
    for (size_t level = 0, done = 0; level < strides.size(); level++) {
        const auto map = request.get_output_tensor(level);
        decode(map, &anchors[done], outputs, std::stof(strides[level]), boxes);
        done += map.get_shape()[1] / outputs * 2;
    }

    // Back to the picture: the means of the exact and of the rounded scale and padding.
    const double ratio_x = (double(new_width) / image.width + scale) / 2;
    const double ratio_y = (double(new_height) / image.height + scale) / 2;
    const double pad_x = (left + (width - new_width) / 2.0) / 2, pad_y = (top + (height - new_height) / 2.0) / 2;
    auto x = [&](float value) { return std::clamp((value - pad_x) / ratio_x, 0.0, double(image.width)); };
    auto y = [&](float value) { return std::clamp((value - pad_y) / ratio_y, 0.0, double(image.height)); };
    const char* separator = "\n";
    std::cout << "[";
    // Maps that need no NMS: no IoU is above 1.
    const bool needs_nms = record.find("\"nms\":") == std::string::npos || values(record, "nms")[0] != "false";
    for (const Box& box : suppress(boxes, needs_nms ? IOU_THRESH : 1.0f)) {
        std::cout << separator << "{\"label\": " << box.label << ", \"name\": " << class_names[box.label]
                  << ", \"score\": " << box.score << ", \"box\": [" << x(box.x1) << ", " << y(box.y1) << ", "
                  << x(box.x2) << ", " << y(box.y2) << "]}";
        separator = ",\n";
    }
    std::cout << "\n]\n";
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
}
