//! The calls that are known, by what their bodies look like.

/// A call that is known by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// `POST …/chat/completions`, of OpenAI and of all who speak it.
    OpenAiChat,
    /// `GET …/chat/deferred-completion/{id}` at xAI: what became of a chat that was deferred.
    XaiDeferredPoll,
    /// `POST …/completions`.
    OpenAiCompletions,
    /// `POST …/responses`.
    OpenAiResponses,
    /// `GET …/responses/{id}`: what became of a response made in the background.
    OpenAiResponsePoll,
    /// `POST …/responses/compact`.
    OpenAiCompact,
    /// `POST …/embeddings`.
    OpenAiEmbeddings,
    /// `POST …/images/generations`, `…/images/edits`, `…/images/variations`.
    OpenAiImages,
    /// `POST …/audio/transcriptions`.
    OpenAiTranscriptions,
    /// `POST …/audio/translations`.
    OpenAiTranslations,
    /// `POST …/audio/speech`.
    OpenAiSpeech,
    /// `POST …/moderations`: free.
    OpenAiModerations,
    /// `POST …/threads/{id}/runs`.
    OpenAiRuns,
    /// `GET …/threads/{id}/runs/{id}`: what became of a run.
    OpenAiRunPoll,
    /// `POST …/v1/messages`.
    AnthropicMessages,
    /// `POST …/v1/complete`: says no usage.
    AnthropicComplete,
    /// `POST …/v1/messages/count_tokens`: free.
    AnthropicCountTokens,
    /// `POST …/models/{model}:generateContent`.
    GeminiGenerate,
    /// `POST …/models/{model}:streamGenerateContent`.
    GeminiStream,
    /// `POST …/models/{model}:embedContent`, `:batchEmbedContents`.
    GeminiEmbed,
    /// `POST …/models/{model}:countTokens`: free.
    GeminiCountTokens,
    /// `POST …/interactions`.
    GeminiInteractions,
    /// `GET …/interactions/{id}`: what became of an interaction.
    GeminiInteractionPoll,
    /// `POST …/models/{model}:predict`, `:predictLongRunning`.
    VertexPredict,
    /// `POST …/publishers/anthropic/models/{model}:rawPredict`, `:streamRawPredict`.
    VertexAnthropic,
    /// `POST …/publishers/{other}/models/{model}:rawPredict`, `:streamRawPredict`.
    VertexOpenAi,
    /// `POST …/model/{model}/converse`.
    BedrockConverse,
    /// `POST …/model/{model}/converse-stream`.
    BedrockConverseStream,
    /// `POST …/model/{model}/invoke`.
    BedrockInvoke,
    /// `POST …/model/{model}/invoke-with-response-stream`.
    BedrockInvokeStream,
    /// `POST …/model/{model}/count-tokens`: free.
    BedrockCountTokens,
    /// `POST …/v1/chat` at Cohere.
    CohereV1Chat,
    /// `POST …/v1/generate` at Cohere.
    CohereV1Generate,
    /// `POST …/v2/chat`.
    CohereChat,
    /// `POST …/v1/embed`, `…/v2/embed`.
    CohereEmbed,
    /// `POST …/rerank`.
    Rerank,
    /// `POST …/ocr`.
    MistralOcr,
    /// `POST …/async/chat/completions`, `…/async/sonar` at Perplexity.
    PerplexityAsync,
    /// `GET …/async/chat/completions/{id}`, `…/async/sonar/{id}`: what became of one.
    PerplexityAsyncPoll,
    /// `POST …/api/chat`.
    OllamaChat,
    /// `POST …/api/generate`.
    OllamaGenerate,
    /// `POST …/api/embed`, `…/api/embeddings`.
    OllamaEmbed,
    /// `POST …/generate`, `…/generate_stream`.
    TgiGenerate,
    /// `POST …/models/{owner}/{model}` at Hugging Face: says no usage.
    HfInference,
    /// A chat at a path of its vendor's own, whose request is not OpenAI's and whose usage is.
    VendorChat,
}

/// Whose error bodies a client of the call understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"error":{"message":…,"type":…,"code":…}}`.
    OpenAi,
    /// `{"type":"error","error":{"type":…,"message":…}}`.
    Anthropic,
    /// `{"error":{"code":…,"message":…,"status":…}}`.
    Google,
    /// `{"message":…}`, with the kind in the header `x-amzn-errortype`.
    Bedrock,
    /// `{"message":…}`.
    Cohere,
    /// `{"error":…}`.
    Plain,
}

impl Api {
    /// Every call, in the order of declaration.
    pub const ALL: [Self; 45] = [
        Self::OpenAiChat,
        Self::XaiDeferredPoll,
        Self::OpenAiCompletions,
        Self::OpenAiResponses,
        Self::OpenAiResponsePoll,
        Self::OpenAiCompact,
        Self::OpenAiEmbeddings,
        Self::OpenAiImages,
        Self::OpenAiTranscriptions,
        Self::OpenAiTranslations,
        Self::OpenAiSpeech,
        Self::OpenAiModerations,
        Self::OpenAiRuns,
        Self::OpenAiRunPoll,
        Self::AnthropicMessages,
        Self::AnthropicComplete,
        Self::AnthropicCountTokens,
        Self::GeminiGenerate,
        Self::GeminiStream,
        Self::GeminiEmbed,
        Self::GeminiCountTokens,
        Self::GeminiInteractions,
        Self::GeminiInteractionPoll,
        Self::VertexPredict,
        Self::VertexAnthropic,
        Self::VertexOpenAi,
        Self::BedrockConverse,
        Self::BedrockConverseStream,
        Self::BedrockInvoke,
        Self::BedrockInvokeStream,
        Self::BedrockCountTokens,
        Self::CohereV1Chat,
        Self::CohereV1Generate,
        Self::CohereChat,
        Self::CohereEmbed,
        Self::Rerank,
        Self::MistralOcr,
        Self::PerplexityAsync,
        Self::PerplexityAsyncPoll,
        Self::OllamaChat,
        Self::OllamaGenerate,
        Self::OllamaEmbed,
        Self::TgiGenerate,
        Self::HfInference,
        Self::VendorChat,
    ];

    /// The name in the access log and in configurations.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::OpenAiChat | Self::XaiDeferredPoll => "openai.chat",
            Self::OpenAiCompletions => "openai.completions",
            Self::OpenAiResponses | Self::OpenAiResponsePoll => "openai.responses",
            Self::OpenAiCompact => "openai.responses.compact",
            Self::OpenAiEmbeddings => "openai.embeddings",
            Self::OpenAiImages => "openai.images",
            Self::OpenAiTranscriptions => "openai.audio.transcriptions",
            Self::OpenAiTranslations => "openai.audio.translations",
            Self::OpenAiSpeech => "openai.audio.speech",
            Self::OpenAiModerations => "openai.moderations",
            Self::OpenAiRuns | Self::OpenAiRunPoll => "openai.assistants.run",
            Self::AnthropicMessages => "anthropic.messages",
            Self::AnthropicComplete => "anthropic.complete",
            Self::AnthropicCountTokens => "anthropic.count_tokens",
            Self::GeminiGenerate => "gemini.generateContent",
            Self::GeminiStream => "gemini.streamGenerateContent",
            Self::GeminiEmbed => "gemini.embed",
            Self::GeminiCountTokens => "gemini.countTokens",
            Self::GeminiInteractions | Self::GeminiInteractionPoll => "gemini.interactions",
            Self::VertexPredict => "vertex.predict",
            Self::VertexAnthropic | Self::VertexOpenAi => "vertex.rawPredict",
            Self::BedrockConverse => "bedrock.converse",
            Self::BedrockConverseStream => "bedrock.converse-stream",
            Self::BedrockInvoke => "bedrock.invoke",
            Self::BedrockInvokeStream => "bedrock.invoke-stream",
            Self::BedrockCountTokens => "bedrock.count-tokens",
            Self::CohereV1Chat => "cohere.v1.chat",
            Self::CohereV1Generate => "cohere.v1.generate",
            Self::CohereChat => "cohere.v2.chat",
            Self::CohereEmbed => "cohere.v2.embed",
            Self::Rerank => "cohere.rerank",
            Self::MistralOcr => "mistral.ocr",
            Self::PerplexityAsync | Self::PerplexityAsyncPoll => "perplexity.async",
            Self::OllamaChat => "ollama.chat",
            Self::OllamaGenerate => "ollama.generate",
            Self::OllamaEmbed => "ollama.embed",
            Self::TgiGenerate => "tgi.generate",
            Self::HfInference => "hf.inference",
            Self::VendorChat => "vendor.chat",
        }
    }

    /// The shape of its errors.
    #[must_use]
    pub const fn shape(self) -> Shape {
        match self {
            Self::AnthropicMessages
            | Self::AnthropicComplete
            | Self::AnthropicCountTokens
            | Self::VertexAnthropic => Shape::Anthropic,
            Self::GeminiGenerate
            | Self::GeminiStream
            | Self::GeminiEmbed
            | Self::GeminiCountTokens
            | Self::GeminiInteractions
            | Self::GeminiInteractionPoll
            | Self::VertexPredict => Shape::Google,
            Self::BedrockConverse
            | Self::BedrockConverseStream
            | Self::BedrockInvoke
            | Self::BedrockInvokeStream
            | Self::BedrockCountTokens => Shape::Bedrock,
            Self::CohereV1Chat
            | Self::CohereV1Generate
            | Self::CohereChat
            | Self::CohereEmbed
            | Self::Rerank => Shape::Cohere,
            Self::OllamaChat
            | Self::OllamaGenerate
            | Self::OllamaEmbed
            | Self::TgiGenerate
            | Self::HfInference => Shape::Plain,
            _ => Shape::OpenAi,
        }
    }

    /// Who serves the call where neither host nor configuration says otherwise.
    #[must_use]
    pub const fn owner(self) -> &'static str {
        match self {
            Self::XaiDeferredPoll => "xai",
            Self::MistralOcr => "mistral",
            Self::PerplexityAsync | Self::PerplexityAsyncPoll => "perplexity",
            Self::OllamaChat | Self::OllamaGenerate | Self::OllamaEmbed => "ollama",
            Self::TgiGenerate => "tgi",
            Self::HfInference => "huggingface",
            Self::VertexPredict | Self::VertexAnthropic | Self::VertexOpenAi => "vertex",
            _ => match self.shape() {
                Shape::Anthropic => "anthropic",
                Shape::Google => "google",
                Shape::Bedrock => "bedrock",
                Shape::Cohere => "cohere",
                Shape::OpenAi | Shape::Plain => "openai",
            },
        }
    }

    /// Whether no provider charges for it, so that it passes without a budget.
    #[must_use]
    pub const fn is_free(self) -> bool {
        matches!(
            self,
            Self::OpenAiModerations
                | Self::AnthropicCountTokens
                | Self::GeminiCountTokens
                | Self::BedrockCountTokens
        )
    }

    /// Whether its request may be a form instead of a document.
    #[must_use]
    pub const fn takes_forms(self) -> bool {
        matches!(self, Self::OpenAiImages | Self::OpenAiTranscriptions | Self::OpenAiTranslations)
    }

    /// Whether its answer has tokens of its own.
    #[must_use]
    pub const fn writes(self) -> bool {
        !matches!(
            self,
            Self::OpenAiEmbeddings
                | Self::GeminiEmbed
                | Self::CohereEmbed
                | Self::OllamaEmbed
                | Self::Rerank
                | Self::VertexPredict
        )
    }

    /// Whether its streams tell usage only where `stream_options.include_usage` says so.
    #[must_use]
    pub const fn has_usage_option(self) -> bool {
        matches!(self, Self::OpenAiChat | Self::OpenAiCompletions)
    }

    /// Whether a request that names its model does so as `model`, where it can be changed.
    #[must_use]
    pub const fn names_model(self) -> bool {
        !matches!(self, Self::PerplexityAsync | Self::VendorChat | Self::TgiGenerate)
    }

    /// Whether it asks what became of an earlier call, and starts no work of its own.
    #[must_use]
    pub const fn is_poll(self) -> bool {
        matches!(
            self,
            Self::XaiDeferredPoll
                | Self::OpenAiResponsePoll
                | Self::OpenAiRunPoll
                | Self::GeminiInteractionPoll
                | Self::PerplexityAsyncPoll
        )
    }

    /// Whether its answer is a stream, whatever the body of the request says.
    #[must_use]
    pub const fn streams(self) -> bool {
        matches!(self, Self::GeminiStream | Self::BedrockConverseStream | Self::BedrockInvokeStream)
    }

    /// Whether its answer streams where the request's body does not say that it should not.
    #[must_use]
    pub const fn streams_unasked(self) -> bool {
        matches!(self, Self::OllamaChat | Self::OllamaGenerate)
    }
}
